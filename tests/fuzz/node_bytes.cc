#include "tests/fuzz/node_bytes.h"

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/btree/node/delta.h"
#include "core/btree/node/node_image.h"

namespace sop::fuzz {

std::string LeafImage() {
  btree::NodeImageBuilder builder(btree::NodeKind::kLeaf, 0);
  btree::ItemView item;
  item.version = Sequence{3};
  item.value = "value";
  item.ride_on = "ride";
  for (const char* key : {"key-a", "key-b", "key-bb", "key-c"}) builder.AddItem(key, item);
  return builder.Build({Sequence{5}, Sequence{0}, 7});
}

std::string InnerImage() {
  btree::NodeImageBuilder builder(btree::NodeKind::kInner, 1);
  uint64_t child = 10;
  for (const char* key : {"", "key-b", "key-c"}) builder.AddChild(key, {NodeId{child++}, 4});
  return builder.Build({Sequence{5}, Sequence{4}, 0});
}

std::string WithImageChecksum(std::string image) {
  if (image.size() >= btree::NodeImage::kHeaderSize) {
    base::StoreLittle32(image.data() + 4, base::Checksum32(std::string_view(image).substr(8)));
  }
  return image;
}

std::string LeafDelta(uint64_t sequence) {
  btree::DeltaView delta;
  delta.sequence = Sequence{sequence};
  for (const auto& [kind, key] :
       {std::pair{btree::DeltaKind::kPut, "key-aa"}, std::pair{btree::DeltaKind::kErase, "key-b"},
        std::pair{btree::DeltaKind::kSetRideOn, "key-bb"}}) {
    btree::DeltaOperation operation;
    operation.kind = kind;
    operation.sequence = delta.sequence;
    operation.key = key;
    operation.item.version = delta.sequence;
    operation.item.ride_on = "rode";
    if (kind == btree::DeltaKind::kPut) operation.item.value = "put";
    delta.operations.push_back(operation);
  }
  return btree::EncodeDelta(delta);
}

std::string InnerDelta(uint64_t sequence) {
  btree::DeltaView delta;
  delta.sequence = Sequence{sequence};
  btree::DeltaOperation operation;
  operation.sequence = delta.sequence;
  operation.kind = btree::DeltaKind::kLink;
  operation.key = "key-bbb";
  operation.child = NodeId{77};
  operation.count = 2;
  delta.operations.push_back(operation);
  operation.kind = btree::DeltaKind::kUnlink;
  operation.key = "key-c";
  delta.operations.push_back(operation);
  return btree::EncodeDelta(delta);
}

}  // namespace sop::fuzz
