#include "core/catalog/check/node_scan.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/node/item.h"

namespace sop::check {

absl::Status NodeScan::Run(const Part& part) {
  next_ = part.first;
  last_ = part.last;
  const TreeId tree = outline_.tree();
  persistence::PlaceRange range;
  range.begin = {tree, part.first == 0 ? 0 : LeafAt(part.first).node.value};
  const bool open_end = part.last == outline_.leaves().size();
  range.end = open_end ? persistence::PlaceRange::Place{TreeId{tree.value + 1}, 0}
                       : persistence::PlaceRange::Place{tree, LeafAt(part.last).node.value};
  for (;;) {
    const absl::Status scanned =
        reader_.snapshot().ScanNodes(range, [this](TreeId, NodeId node, std::string_view bytes) {
          Visit(node, bytes);
          return true;
        });
    if (!scanned.ok() && ReasonOf(scanned) != Reason::kDamaged) return scanned;
    if (scanned.ok()) break;
    if (next_ == last_) {
      Add(FindingKind::kNodeUnreadable, std::string(scanned.message()));
      return absl::OkStatus();
    }
    // The next leaf may be the one that stopped the scan, or lie behind it.
    const OutlineLeaf& leaf = LeafAt(next_);
    const auto read = reader_.snapshot().ReadNode(tree, leaf.node);
    if (!read.ok()) Lose(leaf, FindingKind::kNodeUnreadable, std::string(read.status().message()));
    if (read.ok() && read->has_value()) Visit(leaf.node, **read);
    if (read.ok() && !read->has_value()) Lose(leaf, FindingKind::kNodeMissing, "it is not there");
    if (!read.ok() || !read->has_value()) ++next_;
    range.begin = {tree, leaf.node.value + 1};
  }
  while (next_ < last_) Lose(LeafAt(next_++), FindingKind::kNodeMissing, "it is not there");
  return absl::OkStatus();
}

void NodeScan::Visit(NodeId node, std::string_view bytes) {
  while (next_ < last_ && LeafAt(next_).node < node) {
    Lose(LeafAt(next_++), FindingKind::kNodeMissing, "it is not there");
  }
  if (next_ == last_ || LeafAt(next_).node != node) {
    const auto& inner = outline_.inner_nodes();
    const bool hole = std::any_of(outline_.holes().begin(), outline_.holes().end(),
                                  [node](const OutlineHole& own) { return own.node == node; });
    if (hole || std::binary_search(inner.begin(), inner.end(), node)) return;
    if (IsAfter(node.value, reader_.snapshot().sequence())) return;
    // Staged for a commit that this state does not have yet (docs/adr/0005-staged-commits.md).
    if (node.value >> kSerialOrdinalBits > reader_.snapshot().sequence().value) return;
    Add(FindingKind::kNodeOrphan, fmt::format("nobody names node {}", node.value));
    return;
  }
  const OutlineLeaf& expected = LeafAt(next_++);
  ++report_.nodes;
  report_.bytes += bytes.size();
  const auto leaf = reader_.Parse(outline_.tree(), node, std::string(bytes));
  if (!leaf.ok()) {
    Lose(expected, FindingKind::kNodeUnreadable, std::string(leaf.status().message()));
  } else if (!(*leaf)->is_leaf()) {
    Lose(expected, FindingKind::kNodeMissing, fmt::format("it is of level {}", (*leaf)->level()));
  } else {
    CheckLeaf(expected, **leaf);
  }
}

void NodeScan::CheckLeaf(const OutlineLeaf& expected, const btree::NodeVersion& leaf) {
  const auto items = static_cast<uint32_t>(leaf.item_count());
  report_.items += items;
  if (expected.items.has_value() && *expected.items != items) {
    Add(FindingKind::kCountDiffers, fmt::format("leaf {} has {} items, its parent counts {}",
                                                expected.node.value, items, *expected.items));
  }
  if (leaf.image().sequence() > reader_.snapshot().sequence()) {
    Add(FindingKind::kSequenceDiffers,
        fmt::format("leaf {} is of commit {}, the last is {}", expected.node.value,
                    leaf.image().sequence().value, reader_.snapshot().sequence().value));
  }
  if (items == 0) return;
  // Keys ascend within a leaf (its parsing has seen to that): the outermost say it for all.
  std::string first;
  std::string last;
  leaf.AssignKey(0, &first);
  leaf.AssignKey(items - 1, &last);
  if (first < expected.low || (expected.high.has_value() && last >= *expected.high)) {
    Add(FindingKind::kKeyOrder,
        fmt::format("keys of leaf {} are outside its range", expected.node.value));
  }
  for (uint32_t i = 0; i < items; ++i) CheckItem(expected, leaf, i);
}

void NodeScan::CheckItem(const OutlineLeaf& expected, const btree::NodeVersion& leaf,
                         uint32_t index) {
  const btree::ItemView item = leaf.item(index);
  if (item.version > leaf.image().sequence()) {
    Add(FindingKind::kSequenceDiffers,
        fmt::format("item {} of leaf {} is newer than the leaf", index, expected.node.value));
  }
  if (!item.is_reference()) return;
  const auto reference = btree::DecodeReference(item.value);
  if (reference.has_value()) {
    values_.push_back({*reference, expected.node});
    return;
  }
  Add(FindingKind::kValueMissing,
      fmt::format("item {} of leaf {} refers to nothing", index, expected.node.value));
}

void NodeScan::Lose(const OutlineLeaf& leaf, FindingKind kind, std::string what) {
  Finding finding;
  finding.kind = kind;
  finding.store = store_;
  finding.tree = outline_.tree();
  finding.what = fmt::format("leaf {}: {}", leaf.node.value, what);
  finding.low = leaf.low;
  finding.high = leaf.high;
  finding.unreadable_items = leaf.items;
  report_.Add(std::move(finding));
}

void NodeScan::Add(FindingKind kind, std::string what) {
  Finding finding;
  finding.kind = kind;
  finding.store = store_;
  finding.tree = outline_.tree();
  finding.what = std::move(what);
  report_.Add(std::move(finding));
}

}  // namespace sop::check
