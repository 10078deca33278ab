// Deltas meet images: Apply takes anything, and what a reader sees in memory is what Apply makes.
#include <optional>
#include <span>

#include "core/base/check.h"
#include "core/btree/node/apply.h"
#include "core/btree/node/delta.h"
#include "core/btree/node/node_image.h"
#include "core/btree/node/node_version.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/node_bytes.h"

namespace sop::fuzz {
namespace {

std::string Base(uint8_t choice, std::string_view given) {
  switch (choice % 4) {
    case 0:
      return LeafImage();
    case 1:
      return InnerImage();
    case 2:
      return WithImageChecksum(std::string(given));
    default:
      return std::string(given);
  }
}

// The leaf as readers see it in memory has the items of the folded image.
void CompareWithMemory(const std::string& base, const std::vector<std::string_view>& deltas,
                       const btree::NodeImage& applied) {
  auto image = btree::NodeImage::Parse(base);
  if (!image.ok() || !(*image)->is_leaf() || !applied.is_leaf()) return;
  btree::NodeRef leaf = btree::NodeVersion::FromImage(*image);
  for (const std::string_view delta : deltas) {
    const auto decoded = btree::DecodeDelta(delta);
    if (!decoded.ok() || decoded->sequence <= leaf->sequence()) return;
    auto extended = btree::NodeVersion::Extend(leaf, std::string(delta));
    if (!extended.ok()) return;
    leaf = *std::move(extended);
  }
  SOP_CHECK(leaf->item_count() == applied.slots());
  std::string key;
  for (uint32_t i = 0; i < applied.slots(); ++i) {
    leaf->AssignKey(i, &key);
    SOP_CHECK(key == applied.Key(i));
    SOP_CHECK(leaf->item(i).value == applied.item(i).value);
    SOP_CHECK(leaf->item(i).ride_on == applied.item(i).ride_on);
    SOP_CHECK(leaf->item(i).version == applied.item(i).version);
  }
}

void CheckDecoded(std::string_view bytes) {
  const auto delta = btree::DecodeDelta(bytes);
  if (delta.ok()) SOP_CHECK(btree::DecodeDelta(btree::EncodeDelta(*delta)).ok());
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (uint8_t base = 0; base < 4; ++base) {
    for (const std::string& delta : {LeafDelta(6), InnerDelta(7)}) {
      const std::string later = base % 2 == 0 ? LeafDelta(8) : InnerDelta(9);
      seeds.push_back(Chosen(base, AsPiece(LeafImage()) + AsPiece(delta) + AsPiece(later)));
    }
  }
  return seeds;
}

void RunInput(std::string_view input) {
  InputReader reader(input);
  const uint8_t choice = reader.Byte();
  const std::string base = Base(choice, reader.Piece());
  std::vector<std::string> kept;
  for (int i = 0; i < 4 && !reader.rest().empty(); ++i) {
    const std::string_view piece = reader.Piece();
    kept.push_back((choice & 0x80) != 0 ? std::string(piece) : WithChecksum(piece, 4));
  }
  const std::vector<std::string_view> deltas(kept.begin(), kept.end());
  for (const std::string_view delta : deltas) CheckDecoded(delta);
  (void)btree::Apply(std::nullopt, deltas);
  const std::string applied = btree::Apply(base, deltas);
  const auto image = btree::NodeImage::Parse(applied);
  if (!image.ok()) {
    // Nothing is thrown away that could not be understood.
    SOP_CHECK(btree::ReadDamagedImage(applied).has_value());
    return;
  }
  // Applying it again changes nothing.
  SOP_CHECK(btree::Apply(applied, deltas) == applied);
  CompareWithMemory(base, deltas, **image);
}

}  // namespace sop::fuzz
