#include "core/btree/tree_writer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "absl/container/inlined_vector.h"

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"
#include "core/btree/node/apply.h"
#include "core/btree/node/splice.h"

namespace sop::btree {
namespace {

using persistence::NodeAction;

// A node whose image is below this share of the limit looks for a neighbour to merge with, and
// merges if both together stay below kMergedShare, so that it does not split again at once.
constexpr size_t kSmallShare = 4;

NodeLimits MergedLimits(const NodeLimits& limits) {
  return {limits.image_bytes / 4 * 3, std::max<uint32_t>(1, limits.slots / 4 * 3)};
}

// `children` are nodes with a member `node`.
template <typename Parts>
bool SameChildren(const NodeVersion& node, const Parts& children) {
  if (children.size() != node.children()) return false;
  for (uint32_t slot = 0; slot < node.children(); ++slot) {
    if (children[slot].node != node.child(slot)) return false;
  }
  return true;
}

// What the write makes of an item, as far as its size goes.
ItemView AfterWrite(const TreeWrite& write, ItemView before) {
  constexpr std::string_view kCounter = "8 bytes.";
  if (write.kind == DeltaKind::kPut) return write.item;
  if (write.kind == DeltaKind::kAdd) before.value = kCounter;
  if (write.kind == DeltaKind::kSetRideOn) before.ride_on = write.item.ride_on;
  return before;
}

NodeRef EmptyLeaf() {
  return NodeVersion::FromImage(NodeImage::Adopt(NodeImageBuilder(NodeKind::kLeaf, 0).Build({})));
}

}  // namespace

absl::StatusOr<TreeChanges> TreeWriter::Write(TreeId tree, std::span<const TreeWrite> writes) {
  tree_ = tree;
  if (writes.empty()) return std::move(changes_);
  Leaf root;
  root.id = kRootNode;
  SOP_ASSIGN_OR_RETURN(root.node, ReadRoot());
  SOP_RETURN_IF_ERROR(WriteBelow(root, writes));
  SOP_RETURN_IF_ERROR(WriteLevels());
  return std::move(changes_);
}

absl::Status TreeWriter::WriteLevels() {
  for (size_t level = 1; level < levels_.size(); ++level) {
    for (auto& [id, work] : levels_[level]) {
      if (!work.changes.empty()) SOP_RETURN_IF_ERROR(WriteInner(id, work));
    }
  }
  return CollapseRoot();
}

absl::StatusOr<NodeRef> TreeWriter::ReadRoot() {
  if (root_ == nullptr) {
    SOP_ASSIGN_OR_RETURN(root_, head_.Read(tree_, kRootNode));
    if (root_ == nullptr) root_ = EmptyLeaf();
  }
  return root_;
}

TreeWriter::InnerWork& TreeWriter::WorkOn(NodeId id, const NodeRef& inner,
                                          const std::optional<Parent>& parent) {
  const auto level = static_cast<size_t>(inner->level());
  if (levels_.size() <= level) levels_.resize(level + 1);
  InnerWork& work = levels_[level][id];
  if (work.node == nullptr) {
    work.node = inner;
    work.parent = parent;
  }
  return work;
}

absl::Status TreeWriter::StepDown(const Parent& parent, const NodeVersion& inner, NodeRef child,
                                  Leaf* leaf) {
  leaf->parent = parent;
  leaf->id = inner.child(parent.slot);
  if (child == nullptr) {
    SOP_ASSIGN_OR_RETURN(child, head_.Read(tree_, leaf->id));
  }
  if (child == nullptr || child->level() + 1 != inner.level()) {
    return Error(Reason::kDamaged, fmt::format("tree {}: node {} is missing or at a wrong level",
                                               tree_.value, leaf->id.value));
  }
  leaf->node = std::move(child);
  return absl::OkStatus();
}

absl::StatusOr<TreeWriter::Leaf> TreeWriter::Descend(std::string_view key) {
  Leaf leaf;
  leaf.id = kRootNode;
  SOP_ASSIGN_OR_RETURN(leaf.node, ReadRoot());
  while (!leaf.node->is_leaf()) {
    const NodeRef inner = leaf.node;
    WorkOn(leaf.id, inner, leaf.parent);
    const uint32_t slot = inner->image().ChildSlot(key);
    if (slot + 1 < inner->children()) leaf.high = inner->image().Key(slot + 1);
    SOP_RETURN_IF_ERROR(StepDown({leaf.id, slot}, *inner, nullptr, &leaf));
  }
  return leaf;
}

absl::Status TreeWriter::WriteBelow(const Leaf& node, std::span<const TreeWrite> writes) {
  if (node.node->is_leaf()) return WriteLeaf(node, writes);
  // So many children are looked for at once: their waits for memory overlap, and what they bring
  // stays in the processor's caches until it is used.
  constexpr size_t kRunsAtOnce = 16;
  WorkOn(node.id, node.node, node.parent);
  const NodeImage& image = node.node->image();
  absl::InlinedVector<Run, kRunsAtOnce> runs;
  std::string high;
  while (!writes.empty()) {
    const uint32_t slot = image.ChildSlot(writes.front().key);
    size_t done = writes.size();
    if (slot + 1 < image.slots()) {
      image.AssignKey(slot + 1, &high);
      done = 1;
      while (done < writes.size() && writes[done].key < high) ++done;
    }
    runs.push_back({slot, writes.first(done)});
    writes = writes.subspan(done);
    if (runs.size() < kRunsAtOnce && !writes.empty()) continue;
    SOP_RETURN_IF_ERROR(WriteRuns(node, runs));
    runs.clear();
  }
  return absl::OkStatus();
}

absl::Status TreeWriter::WriteRuns(const Leaf& inner, std::span<const Run> runs) {
  absl::InlinedVector<NodeId, 16> ids;
  for (const Run& run : runs) ids.push_back(inner.node->child(run.slot));
  absl::InlinedVector<NodeRef, 16> children(ids.size());
  FindAndPrefetch(head_, tree_, ids, children.data());
  for (size_t i = 0; i < runs.size(); ++i) {
    Leaf child;
    SOP_RETURN_IF_ERROR(
        StepDown({inner.id, runs[i].slot}, *inner.node, std::move(children[i]), &child));
    SOP_RETURN_IF_ERROR(WriteBelow(child, runs[i].writes));
  }
  return absl::OkStatus();
}

DeltaView TreeWriter::MakeDelta(const NodeVersion& leaf, std::span<const TreeWrite> writes,
                                NodeVersion::Growth* growth) {
  DeltaView delta;
  delta.sequence = options_.sequence;
  delta.operations.reserve(writes.size());
  for (const TreeWrite& write : writes) {
    ItemView before;
    const bool found = leaf.Find(write.key, &before);
    if (!found && write.kind == DeltaKind::kErase) continue;
    const bool replaces = write.kind == DeltaKind::kErase || write.kind == DeltaKind::kPut;
    if (found && replaces && before.is_reference()) {
      const auto reference = DecodeReference(before.value);
      // The same value in an item written anew stays in use.
      const bool kept = write.kind == DeltaKind::kPut && write.item.is_reference() &&
                        write.item.value == before.value;
      if (reference.has_value() && !kept) changes_.freed_values.push_back(*reference);
    }
    const ItemView after = AfterWrite(write, before);
    growth->Count(write.key, found ? &before : nullptr,
                  write.kind == DeltaKind::kErase ? nullptr : &after);
    DeltaOperation operation;
    operation.kind = write.kind;
    operation.sequence = write.sequence;
    operation.key = write.key;
    operation.item = write.item;
    operation.amount = write.amount;
    delta.operations.push_back(operation);
  }
  return delta;
}

absl::Status TreeWriter::WriteLeaf(const Leaf& leaf, std::span<const TreeWrite> writes) {
  NodeVersion::Growth growth;
  const DeltaView delta = MakeDelta(*leaf.node, writes, &growth);
  if (delta.operations.empty()) return absl::OkStatus();
  std::string bytes;
  SOP_ASSIGN_OR_RETURN(NodeRef grown, NodeVersion::Extend(leaf.node, delta, growth, &bytes));

  ChildChange change;
  change.count_change = static_cast<int64_t>(grown->item_count() - leaf.node->item_count());
  if (grown->folded_bytes() > options_.limits.image_bytes && grown->has_pending_deltas()) {
    grown = NodeVersion::Folded(*grown, static_cast<uint32_t>(grown->delta_bytes()));
  }
  const bool too_large = grown->folded_bytes() > options_.limits.image_bytes;
  if ((too_large && grown->item_count() > 1) || grown->item_count() > options_.limits.slots) {
    change.siblings = DivideLeaf(leaf, *grown, delta);
    for (const NodePart& part : change.siblings) {
      change.count_change -= static_cast<int64_t>(part.count);
    }
  } else {
    change.underfull = change.count_change < 0 && IsSmall(*grown);
    NodeResult& result = changes_.nodes[leaf.id];
    if (grown->delta_bytes() > options_.limits.delta_share * grown->size_bound()) {
      result = {NodeVersion::Folded(*grown, 0), NodeAction::kPut, {}};
    } else {
      result = {std::move(grown), NodeAction::kMerge, std::move(bytes)};
    }
  }
  Report(leaf.parent, 1, std::move(change));
  return absl::OkStatus();
}

bool TreeWriter::IsSmall(const NodeVersion& node) const {
  if (!node.is_leaf()) {
    return node.children() < 2 || node.image().size() < options_.limits.image_bytes / kSmallShare;
  }
  const uint64_t slots = std::max<uint64_t>(node.image().slots(), 1);
  const uint64_t bytes = node.image().size() * node.item_count() / slots;
  const uint64_t few = std::max<uint64_t>(options_.limits.slots / kSmallShare, 1);
  return node.item_count() == 0 || bytes < options_.limits.image_bytes / kSmallShare ||
         node.item_count() < few;
}

// The left part stays where it is and can be told to storage as a delta that cuts off the rest.
std::vector<TreeWriter::NodePart> TreeWriter::DivideLeaf(const Leaf& leaf, const NodeVersion& grown,
                                                         const DeltaView& delta) {
  base::FailPoint("split.leaf");
  NodeEntries entries(NodeKind::kLeaf, 0);
  entries.Append(grown, {});
  auto growth = NodeEntries::Growth::kAnywhere;
  if (leaf.node->item_count() > 0) {
    std::string last;
    leaf.node->AssignKey(static_cast<uint32_t>(leaf.node->item_count() - 1), &last);
    if (delta.operations.front().key > last) growth = NodeEntries::Growth::kTail;
  } else {
    growth = NodeEntries::Growth::kTail;
  }
  const std::vector<size_t> starts = entries.Divide(options_.limits, growth);
  std::optional<std::string> cut_bytes;
  if (starts.size() > 1) {
    const std::string cut_key = entries.Separator(starts[1]);
    DeltaView cut;
    cut.sequence = delta.sequence;
    for (const DeltaOperation& operation : delta.operations) {
      if (operation.key < cut_key) cut.operations.push_back(operation);
    }
    DeltaOperation from;
    from.kind = DeltaKind::kCutFrom;
    from.key = cut_key;
    cut.operations.push_back(from);
    cut_bytes = EncodeDelta(cut);
  }
  return PutEntries(leaf.id, entries, starts, std::move(cut_bytes), leaf.node->delta_bytes());
}

void TreeWriter::Report(const std::optional<Parent>& parent, int parent_level, ChildChange change) {
  if (!parent.has_value()) return;
  change.slot = parent->slot;
  levels_[static_cast<size_t>(parent_level)][parent->id].changes.push_back(std::move(change));
}

absl::Status TreeWriter::WriteInner(NodeId id, InnerWork& work) {
  std::sort(work.changes.begin(), work.changes.end(),
            [](const ChildChange& a, const ChildChange& b) { return a.slot < b.slot; });
  const NodeVersion& node = *work.node;
  const bool structural = std::any_of(
      work.changes.begin(), work.changes.end(),
      [](const ChildChange& c) { return c.underfull || c.replaced || !c.siblings.empty(); });
  ChildChange report;
  if (structural && LinkSiblings(id, work)) {
    report.count_change = static_cast<int64_t>(changes_.nodes[id].version->item_count()) -
                          static_cast<int64_t>(node.item_count());
    Report(work.parent, node.level() + 1, std::move(report));
    return absl::OkStatus();
  }
  std::vector<NodePart> children;
  if (structural) {
    SOP_ASSIGN_OR_RETURN(children, ChildrenAfter(work));
  }
  if (!structural || SameChildren(node, children)) {
    WriteCounts(id, work);
    for (const ChildChange& change : work.changes) report.count_change += change.count_change;
  } else {
    NodeEntries entries(NodeKind::kInner, node.level());
    for (const NodePart& child : children)
      entries.AppendChild(child.key, {child.node, child.count});
    CountKept(id, node, children);
    const std::vector<size_t> starts =
        entries.Divide(options_.limits, NodeEntries::Growth::kAnywhere);
    std::optional<std::string> delta;
    if (starts.size() == 1) delta = MakeLinkDelta(node, children);
    report.siblings = PutEntries(id, entries, starts, std::move(delta), node.delta_bytes());
    const size_t kept = starts.size() > 1 ? starts[1] : children.size();
    report.count_change =
        static_cast<int64_t>(entries.ItemCount(0, kept)) - static_cast<int64_t>(node.item_count());
    report.underfull = children.size() < node.children() && IsSmall(*changes_.nodes[id].version);
  }
  Report(work.parent, node.level() + 1, std::move(report));
  return absl::OkStatus();
}

bool TreeWriter::LinkSiblings(NodeId id, const InnerWork& work) {
  const NodeVersion& node = *work.node;
  std::vector<ChildLink> links;
  DeltaView delta;
  delta.sequence = options_.sequence;
  for (const ChildChange& change : work.changes) {
    if (change.underfull || change.replaced) return false;
    for (const NodePart& sibling : change.siblings) {
      links.push_back({change.slot, sibling.key, {sibling.node, sibling.count}});
      DeltaOperation operation;
      operation.kind = DeltaKind::kLink;
      operation.key = sibling.key;
      operation.child = sibling.node;
      operation.count = sibling.count;
      delta.operations.push_back(operation);
    }
  }
  std::string bytes = EncodeDelta(delta);
  const uint64_t delta_bytes = node.delta_bytes() + bytes.size();
  const NodeImageBuilder::Stamps stamps{options_.sequence, node.image().counts_sequence(),
                                        static_cast<uint32_t>(delta_bytes)};
  auto image = SpliceInner(node.image(), links, stamps);
  if (!image.has_value() || image->size() > options_.limits.image_bytes ||
      delta_bytes > options_.limits.delta_share * image->size()) {
    return false;
  }
  std::vector<uint64_t> counts = node.CopyCounts();
  counts.reserve(counts.size() + links.size());
  // From the right, so that what is inserted moves no slot that is still to come.
  for (auto change = work.changes.rbegin(); change != work.changes.rend(); ++change) {
    counts[change->slot] += static_cast<uint64_t>(change->count_change);
    if (change->count_change != 0) {
      changes_.counts.push_back({id, node.child(change->slot), change->count_change});
    }
    auto at = counts.begin() + change->slot + 1;
    for (const NodePart& sibling : change->siblings) at = counts.insert(at, sibling.count) + 1;
  }
  changes_.nodes[id] = {
      NodeVersion::WithCounts(NodeImage::Adopt(*std::move(image)), std::move(counts)),
      NodeAction::kMerge, std::move(bytes)};
  return true;
}

void TreeWriter::WriteCounts(NodeId id, const InnerWork& work) {
  const NodeVersion& node = *work.node;
  absl::InlinedVector<SlotGrowth, 16> growth;
  for (const ChildChange& change : work.changes) {
    if (change.count_change == 0) continue;
    growth.push_back({change.slot, change.count_change});
    changes_.counts.push_back({id, node.child(change.slot), change.count_change});
  }
  if (growth.empty()) return;
  changes_.nodes[id] = {NodeVersion::Grown(node, growth), std::nullopt, {}};
}

absl::StatusOr<std::vector<TreeWriter::NodePart>> TreeWriter::ChildrenAfter(const InnerWork& work) {
  const NodeVersion& node = *work.node;
  std::vector<NodePart> children;
  auto change = work.changes.begin();
  for (uint32_t slot = 0; slot < node.children(); ++slot) {
    children.push_back({node.image().Key(slot), node.child(slot), node.child_count(slot), false});
    if (change == work.changes.end() || change->slot != slot) continue;
    if (change->replaced) {
      const size_t place = children.size() - 1;
      std::string key = std::move(children.back().key);
      children.pop_back();
      children.insert(children.end(), change->siblings.begin(), change->siblings.end());
      children[place].key = std::move(key);
      ++change;
      continue;
    }
    children.back().count += static_cast<uint64_t>(change->count_change);
    children.back().underfull = change->underfull;
    children.insert(children.end(), change->siblings.begin(), change->siblings.end());
    ++change;
  }
  const int child_level = node.level() - 1;
  for (size_t i = 0; i < children.size();) {
    const bool last = i + 1 == children.size();
    if (!children[i].underfull || children.size() == 1) {
      ++i;
      continue;
    }
    const size_t left = last ? i - 1 : i;
    SOP_ASSIGN_OR_RETURN(const bool merged,
                         TryMerge(&children[left], children[left + 1], child_level));
    if (!merged) {
      ++i;
      continue;
    }
    children.erase(children.begin() + static_cast<ptrdiff_t>(left) + 1);
    i = left;
  }
  return children;
}

absl::StatusOr<bool> TreeWriter::TryMerge(NodePart* left, const NodePart& right, int level) {
  SOP_ASSIGN_OR_RETURN(const NodeRef left_node, Current(left->node));
  SOP_ASSIGN_OR_RETURN(const NodeRef right_node, Current(right.node));
  NodeEntries entries(left_node->image().kind(), level);
  entries.Append(*left_node, left->key);
  if (!base::HasSeededBug("merge_loses_items")) entries.Append(*right_node, right.key);
  if (left_node->item_count() > 0 && right_node->item_count() > 0 &&
      !entries.Fits(MergedLimits(options_.limits))) {
    return false;
  }
  base::FailPoint("merge.nodes");
  PutImage(left->node, entries.BuildImage(0, entries.entries().size(),
                                          {options_.sequence, options_.sequence, 0}));
  RemoveNode(right.node);
  left->count += right.count;
  left->underfull = IsSmall(*changes_.nodes[left->node].version);
  base::FailPoint("merge.merged");
  return true;
}

// Children that were there before tell storage how their counts changed; those linked now carry
// theirs in the link.
void TreeWriter::CountKept(NodeId id, const NodeVersion& node,
                           const std::vector<NodePart>& children) {
  absl::flat_hash_map<NodeId, uint64_t> before;
  for (uint32_t slot = 0; slot < node.children(); ++slot) {
    before[node.child(slot)] = node.child_count(slot);
  }
  for (const NodePart& child : children) {
    const auto it = before.find(child.node);
    if (it == before.end() || it->second == child.count) continue;
    changes_.counts.push_back({id, child.node, static_cast<int64_t>(child.count - it->second)});
  }
}

std::optional<std::string> TreeWriter::MakeLinkDelta(const NodeVersion& node,
                                                     const std::vector<NodePart>& children) const {
  DeltaView delta;
  delta.sequence = options_.sequence;
  absl::flat_hash_set<NodeId> after;
  for (const NodePart& child : children) after.insert(child.node);
  uint32_t slot = 0;
  std::deque<std::string> keys;
  const auto unlink_until = [&](NodeId stop) {
    for (; slot < node.children() && node.child(slot) != stop; ++slot) {
      if (after.contains(node.child(slot))) return false;
      keys.push_back(node.image().Key(slot));
      DeltaOperation operation;
      operation.kind = DeltaKind::kUnlink;
      operation.key = keys.back();
      delta.operations.push_back(operation);
    }
    return true;
  };
  for (const NodePart& child : children) {
    if (!fresh_.contains(child.node) && !staged_.contains(child.node)) {
      if (!unlink_until(child.node)) return std::nullopt;
      ++slot;
      continue;
    }
    DeltaOperation operation;
    operation.kind = DeltaKind::kLink;
    operation.key = child.key;
    operation.child = child.node;
    operation.count = child.count;
    delta.operations.push_back(operation);
  }
  if (!unlink_until(NodeId{0})) return std::nullopt;
  const auto not_ascending = [](const DeltaOperation& a, const DeltaOperation& b) {
    return a.key >= b.key;
  };
  if (std::adjacent_find(delta.operations.begin(), delta.operations.end(), not_ascending) !=
      delta.operations.end()) {
    return std::nullopt;
  }
  return EncodeDelta(delta);
}

std::vector<TreeWriter::NodePart> TreeWriter::PutEntries(NodeId id, const NodeEntries& entries,
                                                         const std::vector<size_t>& starts,
                                                         std::optional<std::string> delta,
                                                         uint64_t delta_bytes) {
  const bool root_grows = id == kRootNode && starts.size() > 1;
  const size_t size = entries.entries().size();
  std::vector<NodePart> parts;
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t begin = starts[i];
    const size_t end = i + 1 < starts.size() ? starts[i + 1] : size;
    NodePart part;
    part.node = i == 0 && !root_grows ? id : FreshNode();
    part.key = i == 0 ? std::string() : entries.Separator(begin);
    part.count = entries.ItemCount(begin, end);
    NodeImageBuilder::Stamps stamps{options_.sequence, options_.sequence, 0};
    std::string bytes = entries.BuildImage(begin, end, stamps);
    const uint64_t with_delta = delta.has_value() ? delta_bytes + delta->size() : 0;
    if (i == 0 && !root_grows && delta.has_value() &&
        with_delta <= options_.limits.delta_share * bytes.size()) {
      stamps.delta_bytes = static_cast<uint32_t>(with_delta);
      bytes = entries.BuildImage(begin, end, stamps);
      changes_.nodes[part.node] = {NodeVersion::FromImage(NodeImage::Adopt(std::move(bytes))),
                                   NodeAction::kMerge, *std::move(delta)};
    } else {
      PutImage(part.node, std::move(bytes));
    }
    parts.push_back(std::move(part));
  }
  if (!root_grows) {
    if (starts.size() > 1) base::FailPoint("split.divided");
    parts.erase(parts.begin());
    return parts;
  }
  base::FailPoint("split.root");
  NodeEntries above(NodeKind::kInner, entries.level() + 1);
  for (const NodePart& part : parts) above.AppendChild(part.key, {part.node, part.count});
  return PutEntries(kRootNode, above, above.Divide(options_.limits, NodeEntries::Growth::kTail),
                    std::nullopt, 0);
}

absl::Status TreeWriter::CollapseRoot() {
  for (;;) {
    const auto it = changes_.nodes.find(kRootNode);
    if (it == changes_.nodes.end() || it->second.version->is_leaf()) return absl::OkStatus();
    const NodeRef root = it->second.version;
    if (root->children() > 1) return absl::OkStatus();
    base::FailPoint("merge.root");
    const NodeId only = root->child(0);
    SOP_ASSIGN_OR_RETURN(const NodeRef child, Current(only));
    NodeEntries entries(child->image().kind(), child->level());
    entries.Append(*child, {});
    PutImage(kRootNode, entries.BuildImage(0, entries.entries().size(),
                                           {options_.sequence, options_.sequence, 0}));
    RemoveNode(only);
  }
}

absl::StatusOr<NodeRef> TreeWriter::Current(NodeId id) {
  const auto it = changes_.nodes.find(id);
  if (it != changes_.nodes.end() && it->second.version != nullptr) return it->second.version;
  const bool amended = it != changes_.nodes.end();
  if (amended && it->second.action == NodeAction::kPut) {
    return NodeVersion::FromImage(NodeImage::Adopt(std::string(it->second.bytes)));
  }
  // Staged leaves only, which have no delta pending.
  SOP_CHECK(!amended || it->second.action == NodeAction::kMerge);
  SOP_ASSIGN_OR_RETURN(NodeRef node, head_.Read(tree_, id));
  if (node == nullptr) {
    return Error(Reason::kDamaged,
                 fmt::format("tree {}: node {} is missing", tree_.value, id.value));
  }
  if (!amended) return node;
  // A delta that cuts something off is for images only.
  const std::string_view delta = it->second.bytes;
  SOP_ASSIGN_OR_RETURN(auto image, NodeImage::Parse(Apply(node->image().bytes(), {&delta, 1})));
  return NodeVersion::FromImage(std::move(image));
}

void TreeWriter::PutImage(NodeId id, std::string bytes) {
  changes_.nodes[id] = {
      NodeVersion::FromImage(NodeImage::Adopt(std::move(bytes))), NodeAction::kPut, {}};
}

void TreeWriter::RemoveNode(NodeId id) {
  if (fresh_.contains(id)) {
    changes_.nodes.erase(id);
  } else {
    changes_.nodes[id] = {nullptr, NodeAction::kRemove, {}};
  }
}

NodeId TreeWriter::FreshNode() {
  const NodeId id = next_node_id_();
  fresh_.insert(id);
  return id;
}

}  // namespace sop::btree
