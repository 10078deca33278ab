#include "core/btree/staged/staged_tree.h"

#include <utility>

#include "core/base/status_macros.h"

namespace sop::btree {
namespace {

void AddFreed(const ItemView& before, const std::optional<ItemView>& after,
              std::vector<persistence::ValueReference>* freed) {
  if (!before.is_reference()) return;
  if (after.has_value() && after->is_reference() && after->value == before.value) return;
  if (const auto reference = DecodeReference(before.value)) freed->push_back(*reference);
}

}  // namespace

absl::Status MergeInto(const NodeVersion* leaf, const KeySpan& span, WriteSource& writes,
                       LeafPacker* packer, std::vector<persistence::ValueReference>* freed) {
  uint32_t index = 0;
  const uint32_t size = leaf == nullptr ? 0 : static_cast<uint32_t>(leaf->item_count());
  bool exact;
  if (size > 0) index = leaf->LowerBound(span.begin, &exact);
  std::string key;
  bool key_ready = false;
  for (;;) {
    if (index < size && !key_ready) {
      leaf->AssignKey(index, &key);
      key_ready = true;
    }
    const bool has_item = index < size && !span.Ends(key);
    const bool has_write = writes.Valid() && !span.Ends(writes.key());
    if (!has_item && !has_write) return absl::OkStatus();
    int order = has_item ? -1 : 1;
    if (has_item && has_write) order = std::string_view(key).compare(writes.key());
    if (order < 0) {
      SOP_RETURN_IF_ERROR(packer->Add(key, leaf->item(index++)));
      key_ready = false;
      continue;
    }
    ItemView before;
    if (order == 0) {
      before = leaf->item(index++);
      key_ready = false;
    }
    SOP_ASSIGN_OR_RETURN(const std::optional<ItemView> after,
                         writes.Apply(order == 0 ? &before : nullptr));
    if (order == 0) AddFreed(before, after, freed);
    if (after.has_value()) SOP_RETURN_IF_ERROR(packer->Add(writes.key(), *after));
    SOP_RETURN_IF_ERROR(writes.Next());
  }
}

absl::StatusOr<StagedTree> TreeStager::Stage(TreeId tree, WriteSource& writes) {
  StagedTree staged;
  const auto emit = [&](PackedLeaf leaf) -> absl::Status {
    const NodeId node = next_node_id_();
    SOP_RETURN_IF_ERROR(put_node_(node, leaf.image));
    staged.leaves.push_back({std::move(leaf.low), node, leaf.count});
    return absl::OkStatus();
  };
  LeafPacker packer(options_.limits, options_.sequence, emit);
  Cursor cursor(base_, tree);
  SOP_RETURN_IF_ERROR(writes.Seek({}));
  while (writes.Valid()) {
    SOP_RETURN_IF_ERROR(cursor.SeekToLeaf(writes.key()));
    StagedRange range;
    range.replaced = cursor.leaf_id();
    range.low = cursor.LeafLow();
    range.high = cursor.LeafHigh();
    range.first = staged.leaves.size();
    packer.Start(range.low);
    SOP_RETURN_IF_ERROR(MergeInto(cursor.leaf().get(), {range.low, range.high}, writes, &packer,
                                  &range.freed_values));
    SOP_RETURN_IF_ERROR(packer.Finish());
    range.end = staged.leaves.size();
    staged.ranges.push_back(std::move(range));
  }
  return staged;
}

}  // namespace sop::btree
