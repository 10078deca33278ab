#include "core/btree/node/node_entries.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"

namespace sop::btree {

void NodeEntries::AppendItem(std::string_view key, const ItemView& item) {
  entries_.push_back({key, item, {}, NodeImageBuilder::ItemCost(key, item)});
  bytes_ += entries_.back().cost;
}

void NodeEntries::AppendChild(std::string_view key, const ChildView& child) {
  entries_.push_back({key, {}, child, NodeImageBuilder::ChildCost(key)});
  bytes_ += entries_.back().cost;
}

std::string_view NodeEntries::Keep(std::string key) {
  kept_.push_back(std::move(key));
  return kept_.back();
}

void NodeEntries::Append(const NodeVersion& node, std::string_view low) {
  std::string key;
  if (node.is_leaf()) {
    for (uint32_t i = 0; i < node.item_count(); ++i) {
      node.AssignKey(i, &key);
      AppendItem(Keep(key), node.item(i));
    }
    return;
  }
  for (uint32_t slot = 0; slot < node.children(); ++slot) {
    node.image().AssignKey(slot, &key);
    AppendChild(slot == 0 ? Keep(std::string(low)) : Keep(key),
                {node.child(slot), node.child_count(slot)});
  }
}

size_t NodeEntries::SharedPrefix() const {
  const size_t first = kind_ == NodeKind::kInner ? 1 : 0;
  if (entries_.size() <= first) return 0;
  return base::CommonPrefix(entries_[first].key, entries_.back().key);
}

bool NodeEntries::Fits(const NodeLimits& limits) const {
  const size_t least = kind_ == NodeKind::kInner ? 4 : 2;
  if (entries_.size() >= least && bytes() > limits.image_bytes) return false;
  return kind_ == NodeKind::kInner || entries_.size() <= limits.slots;
}

uint64_t NodeEntries::ItemCount(size_t begin, size_t end) const {
  if (kind_ == NodeKind::kLeaf) return end - begin;
  uint64_t count = 0;
  for (size_t i = begin; i < end; ++i) count += entries_[i].child.count;
  return count;
}

std::vector<size_t> NodeEntries::Divide(const NodeLimits& limits, Growth growth) const {
  std::vector<size_t> starts = {0};
  if (Fits(limits)) return starts;
  const size_t limit = limits.image_bytes - limits.image_bytes / 16;
  const size_t shared = SharedPrefix();
  const size_t least = kind_ == NodeKind::kInner ? 2 : 1;
  size_t target = limit;
  size_t slot_target = kind_ == NodeKind::kInner ? entries_.size() : limits.slots;
  if (growth == Growth::kAnywhere) {
    const size_t by_bytes = (bytes() + limit - 1) / limit;
    const size_t by_slots = (entries_.size() + slot_target - 1) / slot_target;
    const size_t runs = std::max<size_t>({2, by_bytes, by_slots});
    target = bytes() / runs;
    slot_target = std::max<size_t>(1, (entries_.size() + runs - 1) / runs);
  }
  size_t run_bytes = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const size_t in_run = i - starts.back();
    const size_t cost = entries_[i].cost - std::min(shared, entries_[i].key.size());
    const bool full = run_bytes + cost / 2 > target || in_run >= slot_target ||
                      run_bytes + cost > limits.image_bytes;
    if (full && in_run >= least && entries_.size() - i >= least) {
      starts.push_back(i);
      run_bytes = 0;
    }
    run_bytes += cost;
  }
  return starts;
}

std::string NodeEntries::Separator(size_t index) const {
  const std::string_view right = entries_[index].key;
  if (kind_ == NodeKind::kInner) return std::string(right);
  const size_t shared = base::CommonPrefix(entries_[index - 1].key, right);
  return std::string(right.substr(0, shared + 1));
}

std::string NodeEntries::BuildImage(size_t begin, size_t end,
                                    const NodeImageBuilder::Stamps& stamps) const {
  NodeImageBuilder builder(kind_, level_);
  for (size_t i = begin; i < end; ++i) {
    if (kind_ == NodeKind::kLeaf) {
      builder.AddItem(entries_[i].key, entries_[i].item);
    } else {
      builder.AddChild(entries_[i].key, entries_[i].child);
    }
  }
  return builder.Build(stamps);
}

}  // namespace sop::btree
