#include "core/catalog/check/tree_salvage.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/node/item.h"
#include "core/txn/value/value_pieces.h"

namespace sop::check {
namespace {

using persistence::PlaceRange;

// Inner nodes built here: the engine gives none of these numbers (they are Serials, from 2^20 on).
constexpr uint64_t kFirstInnerNode = 2;

bool Inside(const OutlineHole& hole, std::string_view first, std::string_view last) {
  return first >= hole.low && (!hole.high.has_value() || last < *hole.high);
}

}  // namespace

absl::Status TreeSalvage::Run(TreeId tree, const std::string& store) {
  tree_ = tree;
  store_ = store;
  TreeOutline outline;
  CheckReport ignored;  // a check has said it already
  SOP_RETURN_IF_ERROR(outline.Walk(reader_, tree, store, &ignored));
  ++report_.trees;
  ++report_.rebuilt_trees;
  for (const OutlineLeaf& leaf : outline.leaves()) SOP_RETURN_IF_ERROR(KeepLeaf(leaf));
  SOP_ASSIGN_OR_RETURN(const std::vector<Stray> strays, FindStrays(outline));
  report_.dropped_orphans += strays.size();  // less those that fill a hole
  for (const OutlineHole& hole : outline.holes()) SOP_RETURN_IF_ERROR(FillHole(hole, strays));
  const bool rootless = outline.leaves().empty() && outline.holes().empty();
  if (rootless && !strays.empty()) {
    SOP_RETURN_IF_ERROR(FillHole({kRootNode, "", std::nullopt, std::nullopt}, strays));
  }
  return BuildInnerNodes();
}

absl::Status TreeSalvage::KeepLeaf(const OutlineLeaf& expected) {
  const auto read = reader_.Read(tree_, expected.node);
  if (!read.ok() && ReasonOf(read.status()) != Reason::kDamaged) return read.status();
  if (!read.ok() || *read == nullptr || !(*read)->is_leaf()) {
    Lose(expected.low, expected.high, expected.items,
         fmt::format("leaf {}: {}", expected.node.value,
                     read.ok() ? "it is not there" : std::string(read.status().message())));
    return absl::OkStatus();
  }
  uint64_t items = 0;
  SOP_ASSIGN_OR_RETURN(std::string bytes, Filtered(expected, **read, &items));
  if (expected.items.has_value() && (*read)->item_count() < *expected.items) {
    Lose(expected.low, expected.high, *expected.items - (*read)->item_count(),
         fmt::format("leaf {} has fewer items than were counted", expected.node.value));
  }
  return Emit({expected.node, expected.low, items}, std::move(bytes));
}

absl::StatusOr<std::string> TreeSalvage::Filtered(const OutlineLeaf& expected,
                                                  const btree::NodeVersion& leaf, uint64_t* items) {
  std::vector<std::string> keys;
  std::vector<btree::ItemView> kept;
  std::string key;
  for (uint32_t i = 0; i < leaf.item_count(); ++i) {
    leaf.AssignKey(i, &key);
    const btree::ItemView item = leaf.item(i);
    const bool in_place =
        key >= expected.low && (!expected.high.has_value() || key < *expected.high);
    if (!in_place || (keep_ != nullptr && !keep_(key, item))) {
      Lose(key, key + '\0', 1, in_place ? "the item cannot be understood" : "it is out of place");
      continue;
    }
    SOP_ASSIGN_OR_RETURN(const bool has_value, CopyValue(expected, key, item));
    if (!has_value) continue;
    keys.push_back(key);
    kept.push_back(item);
  }
  *items = kept.size();
  const Sequence tail = reader_.snapshot().sequence();
  if (kept.size() == leaf.item_count() && leaf.image().sequence() <= tail) {
    return leaf.image().bytes();
  }
  btree::NodeImageBuilder builder(btree::NodeKind::kLeaf, 0);
  for (size_t i = 0; i < kept.size(); ++i) {
    kept[i].version = std::min(kept[i].version, tail);
    builder.AddItem(keys[i], kept[i]);
  }
  return builder.Build({std::min(leaf.image().sequence(), tail), {}, 0});
}

absl::StatusOr<bool> TreeSalvage::CopyValue(const OutlineLeaf& expected, std::string_view key,
                                            const btree::ItemView& item) {
  if (!item.is_reference()) return true;
  const auto reference = btree::DecodeReference(item.value);
  const auto read = [&](uint64_t i) {
    return reader_.snapshot().ReadValue(tree_, reference->piece(i));
  };
  absl::StatusOr<std::string> value = Error(Reason::kDamaged, "the reference is none");
  if (reference.has_value()) value = txn::ReadWhole(*reference, read);
  if (!value.ok() && ReasonOf(value.status()) != Reason::kDamaged) return value.status();
  if (!value.ok()) {
    Lose(std::string(key), std::string(key) + '\0', 1,
         fmt::format("the value of an item of leaf {} is gone", expected.node.value));
    return false;
  }
  ++report_.values;
  for (uint64_t i = 0; i < reference->pieces(); ++i) {
    const std::string_view piece = std::string_view(*value).substr(
        i * persistence::kValuePieceBytes, reference->piece_size(i));
    SOP_RETURN_IF_ERROR(target_.AddValue(tree_, reference->piece(i), piece));
  }
  return true;
}

absl::Status TreeSalvage::Emit(Leaf leaf, std::string bytes) {
  report_.items += leaf.items;
  leaves_.push_back(std::move(leaf));
  if (leaves_.size() == 1) {
    only_leaf_ = std::move(bytes);
    return absl::OkStatus();
  }
  if (leaves_.size() == 2) {
    SOP_RETURN_IF_ERROR(target_.AddNode(tree_, leaves_.front().node, only_leaf_));
    only_leaf_.clear();
  }
  return target_.AddNode(tree_, leaves_.back().node, bytes);
}

absl::Status TreeSalvage::FillHole(const OutlineHole& hole, const std::vector<Stray>& strays) {
  std::vector<Stray> inside;
  // Newest first: an older leaf may be what was left of one that was split or merged since.
  for (const Stray& stray : strays) {
    if (!Inside(hole, stray.first, stray.last)) continue;
    const bool free = std::none_of(inside.begin(), inside.end(), [&](const Stray& own) {
      return stray.first <= own.last && own.first <= stray.last;
    });
    if (free) inside.push_back(stray);
  }
  std::sort(inside.begin(), inside.end(),
            [](const Stray& a, const Stray& b) { return a.first < b.first; });
  const uint64_t before = report_.items;
  for (size_t i = 0; i < inside.size(); ++i) {
    OutlineLeaf leaf{inside[i].node, i == 0 ? hole.low : inside[i].first, hole.high, std::nullopt};
    if (i + 1 < inside.size()) leaf.high = inside[i + 1].first;
    SOP_RETURN_IF_ERROR(KeepLeaf(leaf));
    --report_.dropped_orphans;
  }
  const uint64_t found = report_.items - before;
  if (hole.items.has_value() && found >= *hole.items) return absl::OkStatus();
  std::optional<uint64_t> lost;
  if (hole.items.has_value()) lost = *hole.items - found;
  Lose(hole.low, hole.high, lost, fmt::format("inner node {} is gone", hole.node.value));
  return absl::OkStatus();
}

bool TreeSalvage::CanScan(uint64_t from) const {
  return reader_.snapshot()
      .ScanNodes({.begin = {tree_, from}, .end = {{TreeId{tree_.value + 1}, 0}}},
                 [](TreeId, NodeId, std::string_view) { return false; })
      .ok();
}

std::optional<uint64_t> TreeSalvage::PlaceBehindDamage(uint64_t from) const {
  uint64_t damaged = from;
  uint64_t step = 1;
  while (!CanScan(damaged + step)) {
    damaged += step;
    if (step > (UINT64_MAX - damaged) / 2) return std::nullopt;
    step *= 2;
  }
  uint64_t readable = damaged + step;
  while (readable - damaged > 1) {
    const uint64_t middle = damaged + (readable - damaged) / 2;
    (CanScan(middle) ? readable : damaged) = middle;
  }
  return readable;
}

absl::StatusOr<std::vector<TreeSalvage::Stray>> TreeSalvage::FindStrays(
    const TreeOutline& outline) {
  std::vector<Stray> strays;
  std::vector<NodeId> named;
  for (const OutlineLeaf& leaf : outline.leaves()) named.push_back(leaf.node);
  std::sort(named.begin(), named.end());
  uint64_t next = 0;
  const auto visit = [&](TreeId, NodeId node, std::string_view bytes) {
    next = node.value + 1;
    const auto image = btree::NodeImage::Parse(std::string(bytes));
    if (!image.ok() || !(*image)->is_leaf() || (*image)->slots() == 0 || node == kRootNode ||
        std::binary_search(named.begin(), named.end(), node)) {
      return true;
    }
    strays.push_back(
        {node, (*image)->sequence(), (*image)->Key(0), (*image)->Key((*image)->slots() - 1)});
    return true;
  };
  for (;;) {
    const absl::Status scanned = reader_.snapshot().ScanNodes(
        {.begin = {tree_, next}, .end = {{TreeId{tree_.value + 1}, 0}}}, visit);
    if (scanned.ok()) break;
    if (ReasonOf(scanned) != Reason::kDamaged) return scanned;
    const std::optional<uint64_t> behind = PlaceBehindDamage(next);
    if (!behind.has_value()) break;
    next = *behind;
  }
  std::sort(strays.begin(), strays.end(),
            [](const Stray& a, const Stray& b) { return a.sequence > b.sequence; });
  return strays;
}

absl::Status TreeSalvage::BuildInnerNodes() {
  std::sort(leaves_.begin(), leaves_.end(),
            [](const Leaf& a, const Leaf& b) { return a.low < b.low; });
  if (leaves_.empty()) return absl::OkStatus();
  if (leaves_.size() == 1) return target_.AddNode(tree_, kRootNode, only_leaf_);
  const Sequence tail = reader_.snapshot().sequence();
  std::vector<Leaf> below = std::move(leaves_);
  uint64_t next_node = kFirstInnerNode;
  for (int level = 1;; ++level) {
    btree::NodeEntries entries(btree::NodeKind::kInner, level);
    for (const Leaf& child : below) entries.AppendChild(child.low, {child.node, child.items});
    const std::vector<size_t> starts =
        entries.Divide(btree::NodeLimits(), btree::NodeEntries::Growth::kAnywhere);
    if (starts.size() == 1) {
      return target_.AddNode(tree_, kRootNode,
                             entries.BuildImage(0, below.size(), {tail, tail, 0}));
    }
    std::vector<Leaf> inner;
    for (size_t i = 0; i < starts.size(); ++i) {
      const size_t end = i + 1 < starts.size() ? starts[i + 1] : below.size();
      const NodeId node{next_node++};
      SOP_RETURN_IF_ERROR(
          target_.AddNode(tree_, node, entries.BuildImage(starts[i], end, {tail, tail, 0})));
      inner.push_back({node, below[starts[i]].low, entries.ItemCount(starts[i], end)});
    }
    below = std::move(inner);
  }
}

void TreeSalvage::Lose(std::string low, std::optional<std::string> high,
                       std::optional<uint64_t> items, std::string what) {
  report_.losses.push_back(
      {store_, tree_, std::move(low), std::move(high), items, std::move(what)});
}

}  // namespace sop::check
