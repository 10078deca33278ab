// Node images: bytes that were read are an image that can be searched and rebuilt, or DATA_LOSS.
#include "core/base/check.h"
#include "core/btree/node/apply.h"
#include "core/btree/node/node_entries.h"
#include "core/btree/node/node_image.h"
#include "core/btree/node/node_version.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/node_bytes.h"

namespace sop::fuzz {
namespace {

void SearchLeaf(const btree::NodeVersion& leaf, std::string_view wanted) {
  std::string key;
  std::string before;
  btree::ItemView item;
  bool exact = false;
  for (uint32_t i = 0; i < leaf.item_count(); ++i) {
    leaf.AssignKey(i, &key);
    SOP_CHECK(i == 0 || before < key);
    SOP_CHECK(leaf.LowerBound(key, &exact) == i && exact);
    SOP_CHECK(leaf.Find(key, &item));
    SOP_CHECK(item.value == leaf.item(i).value && item.ride_on == leaf.item(i).ride_on);
    before = key;
  }
  SOP_CHECK(leaf.LowerBound(wanted, &exact) <= leaf.item_count());
  SOP_CHECK(leaf.Find(wanted, &item) == exact);
}

void SearchInner(const btree::NodeImage& image, std::string_view wanted) {
  if (image.slots() == 0) return;
  const uint32_t slot = image.ChildSlot(wanted);
  SOP_CHECK(slot < image.slots());
  for (uint32_t i = 1; i < image.slots(); ++i) {
    SOP_CHECK((image.Key(i) <= wanted) == (i <= slot));
    (void)image.child(i);
  }
}

void Rebuild(const btree::NodeVersion& node) {
  btree::NodeEntries entries(node.image().kind(), node.level());
  entries.Append(node, {});
  if (entries.entries().empty()) return;
  const btree::NodeLimits limits{512, 4};
  const auto runs = entries.Divide(limits, btree::NodeEntries::Growth::kAnywhere);
  for (size_t run = 0; run < runs.size(); ++run) {
    const size_t end = run + 1 < runs.size() ? runs[run + 1] : entries.entries().size();
    if (runs[run] > 0) (void)entries.Separator(runs[run]);
    const std::string image = entries.BuildImage(runs[run], end, {Sequence{9}, Sequence{9}, 0});
    SOP_CHECK(btree::NodeImage::Parse(image).ok());
  }
}

void Use(std::string bytes, std::string_view wanted) {
  (void)btree::ReadDamagedImage(bytes);
  const auto image = btree::NodeImage::Parse(std::move(bytes));
  if (!image.ok()) return;
  const auto node = btree::NodeVersion::FromImage(*image);
  if ((*image)->is_leaf()) {
    SearchLeaf(*node, wanted);
  } else {
    SearchInner(**image, wanted);
  }
  Rebuild(*node);
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const std::string damaged = btree::Apply("no image", std::vector<std::string_view>{"no delta"});
  for (const std::string& image : {LeafImage(), InnerImage(), damaged}) {
    seeds.push_back(AsPiece("key-b") + image);
  }
  return seeds;
}

void RunInput(std::string_view input) {
  InputReader reader(input);
  const std::string_view wanted = reader.Piece();
  Use(std::string(reader.rest()), wanted);
  Use(WithImageChecksum(std::string(reader.rest())), wanted);
}

}  // namespace sop::fuzz
