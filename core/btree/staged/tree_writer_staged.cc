// The half of the tree writer that puts staged leaves into a tree that went on meanwhile.

#include <algorithm>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/staged/staged_tree.h"
#include "core/btree/tree_writer.h"

namespace sop::btree {

using persistence::NodeAction;

namespace {

KeySpan SpanOf(const StagedTree& staged, const StagedRange& range, size_t leaf) {
  KeySpan span{staged.leaves[leaf].low, range.high};
  if (leaf + 1 < range.end) span.end = staged.leaves[leaf + 1].low;
  return span;
}

// Whether no key of `span` is above `end`; absent: unbounded.
bool EndsBy(const KeySpan& span, const std::optional<std::string>& end) {
  return !end.has_value() || (span.end.has_value() && *span.end <= *end);
}

}  // namespace

// A leaf of the newest state where staged leaves do not fit any more, or may not: keeps those of
// them that lie in it, with deltas for the keys that changed, and builds anew what is between.
// Confined to one call.
class TreeWriter::ChangedLeaf {
 public:
  ChangedLeaf(TreeWriter& writer, const Leaf& leaf, const StagedTree& staged, const StagedOn& on)
      : writer_(writer),
        leaf_(leaf),
        staged_(staged),
        on_(on),
        low_(writer.LowOf(leaf)),
        at_(low_) {}

  // `range`: the first that may reach into the leaf.
  absl::Status Write(size_t range) {
    SOP_RETURN_IF_ERROR(FindChanges());
    for (; range < staged_.ranges.size(); ++range) {
      const StagedRange& of = staged_.ranges[range];
      if (leaf_.high.has_value() && of.low >= *leaf_.high) break;
      for (size_t i = of.first; i < of.end; ++i) SOP_RETURN_IF_ERROR(Take(of, i));
    }
    if (!finished_) SOP_RETURN_IF_ERROR(Rebuild(leaf_.high));
    return writer_.ReplaceLeaf(leaf_, std::move(parts_));
  }

 private:
  // A key whose item differs from what the leaves were staged on.
  struct Change {
    std::string key;
    bool was_there = false;
  };

  absl::Status FindChanges() {
    Cursor before(on_.base, writer_.tree_);
    SOP_RETURN_IF_ERROR(before.Seek(low_));
    const NodeVersion& now = *leaf_.node;
    std::string key;
    for (uint32_t index = 0;;) {
      const bool had = before.Valid() && (!leaf_.high.has_value() || before.key() < *leaf_.high);
      const bool has = index < now.item_count();
      if (!had && !has) return absl::OkStatus();
      if (has) now.AssignKey(index, &key);
      int order = had ? -1 : 1;
      if (had && has) order = before.key().compare(key);
      if (order != 0 || before.item().version != now.item(index).version) {
        changed_.push_back({std::string(order < 0 ? before.key() : key), order <= 0});
        SOP_RETURN_IF_ERROR(on_.on_changed_key(changed_.back().key));
      }
      if (order >= 0) ++index;
      if (order <= 0) SOP_RETURN_IF_ERROR(before.Next());
    }
  }

  // Tells the staged leaf of keys that changed since and that are not overwritten anyway, and to
  // cut off what is behind `span` if it `is_cut`. By how many items in `span` it grows.
  absl::StatusOr<int64_t> Amend(NodeId node, const KeySpan& span, bool is_cut) {
    int64_t growth = 0;
    DeltaView delta;
    delta.sequence = writer_.options_.sequence;
    std::deque<Item> made;
    auto change = std::lower_bound(changed_.begin(), changed_.end(), span.begin,
                                   [](const Change& c, std::string_view k) { return c.key < k; });
    for (; change != changed_.end() && !span.Ends(change->key); ++change) {
      SOP_RETURN_IF_ERROR(on_.writes.Seek(change->key));
      const bool own = on_.writes.Valid() && on_.writes.key() == change->key;
      if (own && !on_.writes.KeepsValue()) continue;
      ItemView item;
      bool there = leaf_.node->Find(change->key, &item);
      bool was_there = change->was_there;
      if (own) {
        SOP_ASSIGN_OR_RETURN(const auto after, on_.writes.Apply(there ? &item : nullptr));
        was_there = was_there || on_.writes.LeavesItem();
        there = after.has_value();
        if (there) item = made.emplace_back(*after).view();
      }
      growth += static_cast<int64_t>(there) - static_cast<int64_t>(was_there);
      DeltaOperation operation;
      operation.kind = there ? DeltaKind::kPut : DeltaKind::kErase;
      operation.sequence = there ? item.version : delta.sequence;
      operation.key = change->key;
      operation.item = item;
      delta.operations.push_back(operation);
    }
    if (is_cut) {
      DeltaOperation cut;
      cut.kind = DeltaKind::kCutFrom;
      cut.key = *span.end;
      delta.operations.push_back(cut);
    }
    if (delta.operations.empty()) return 0;
    writer_.PutUnread(node, NodeAction::kMerge, EncodeDelta(delta));
    return growth;
  }

  absl::Status Take(const StagedRange& range, size_t index) {
    KeySpan span = SpanOf(staged_, range, index);
    if (span.end.has_value() && *span.end <= low_) return absl::OkStatus();
    if (leaf_.high.has_value() && span.begin >= *leaf_.high) return absl::OkStatus();
    // What begins in the leaf before was cut there.
    if (span.begin < low_) return absl::OkStatus();
    const StagedLeaf& staged = staged_.leaves[index];
    uint64_t staged_count = staged.count;
    const bool is_cut = !EndsBy(span, leaf_.high);
    if (is_cut) {
      span.end = leaf_.high;
      SOP_ASSIGN_OR_RETURN(staged_count, writer_.CutStaged(staged.node, *leaf_.high, on_));
      if (staged_count == 0) return absl::OkStatus();
    }
    SOP_RETURN_IF_ERROR(Rebuild(std::string(span.begin)));
    SOP_ASSIGN_OR_RETURN(const int64_t growth, Amend(staged.node, span, is_cut));
    SOP_RETURN_IF_ERROR(FreeValues(span));
    const auto count = static_cast<uint64_t>(static_cast<int64_t>(staged_count) + growth);
    parts_.push_back({staged.low, staged.node, count, false});
    finished_ = !span.end.has_value();
    if (!finished_) at_ = std::string(*span.end);
    return absl::OkStatus();
  }

  // What is from at_ on and below `end`.
  absl::Status Rebuild(const std::optional<std::string>& end) {
    if (end.has_value() && *end <= at_) return absl::OkStatus();
    const auto emit = [this](PackedLeaf packed) {
      const NodeId node = writer_.FreshNode();
      if (leaf_.parent.has_value()) {
        writer_.PutUnread(node, NodeAction::kPut, std::move(packed.image));
      } else {
        writer_.PutImage(node, std::move(packed.image));
      }
      parts_.push_back({std::move(packed.low), node, packed.count, false});
      return absl::OkStatus();
    };
    LeafPacker packer(writer_.options_.limits, writer_.options_.sequence, emit);
    packer.Start(at_);
    SOP_RETURN_IF_ERROR(on_.writes.Seek(at_));
    SOP_RETURN_IF_ERROR(MergeInto(leaf_.node.get(), {at_, end}, on_.writes, &packer,
                                  &writer_.changes_.freed_values));
    return packer.Finish();
  }

  // Of items in `span` that the kept staged leaf does not have any more.
  absl::Status FreeValues(const KeySpan& span) {
    bool exact;
    std::string key;
    for (uint32_t i = leaf_.node->LowerBound(span.begin, &exact); i < leaf_.node->item_count();
         ++i) {
      leaf_.node->AssignKey(i, &key);
      if (span.Ends(key)) break;
      const ItemView item = leaf_.node->item(i);
      if (!item.is_reference()) continue;
      SOP_RETURN_IF_ERROR(on_.writes.Seek(key));
      if (!on_.writes.Valid() || on_.writes.key() != key || on_.writes.KeepsValue()) continue;
      if (const auto reference = DecodeReference(item.value)) {
        writer_.changes_.freed_values.push_back(*reference);
      }
    }
    return absl::OkStatus();
  }

  TreeWriter& writer_;
  const Leaf& leaf_;
  const StagedTree& staged_;
  const StagedOn& on_;
  const std::string low_;
  std::string at_;         // keys below are in parts_
  bool finished_ = false;  // parts_ reach to the end of the key space
  std::vector<Change> changed_;
  std::vector<NodePart> parts_;
};

absl::StatusOr<TreeChanges> TreeWriter::WriteStaged(TreeId tree, const StagedTree& staged,
                                                    const StagedOn& on) {
  tree_ = tree;
  for (const StagedLeaf& leaf : staged.leaves) staged_.insert(leaf.node);
  // Keys below are written; absent: all are.
  std::optional<std::string> done = std::string();
  for (size_t i = 0; i < staged.ranges.size() && done.has_value(); ++i) {
    const StagedRange& range = staged.ranges[i];
    if (range.high.has_value() && *range.high <= *done) continue;
    if (range.low >= *done && !on.may_have_changed(range.replaced)) {
      SOP_ASSIGN_OR_RETURN(const bool put, PutStagedRange(staged, i));
      if (put) continue;
    }
    if (range.low > *done) done = range.low;
    do {
      SOP_ASSIGN_OR_RETURN(const Leaf leaf, Descend(*done));
      SOP_RETURN_IF_ERROR(ChangedLeaf(*this, leaf, staged, on).Write(i));
      done = leaf.high;
    } while (done.has_value() && (!range.high.has_value() || *done < *range.high));
  }
  SOP_RETURN_IF_ERROR(WriteLevels());
  return std::move(changes_);
}

absl::StatusOr<TreeWriter::Leaf> TreeWriter::DescendToParent(std::string_view key) {
  Leaf leaf;
  leaf.id = kRootNode;
  SOP_ASSIGN_OR_RETURN(NodeRef node, head_.Read(tree_, kRootNode));
  while (node != nullptr && !node->is_leaf()) {
    const auto level = static_cast<size_t>(node->level());
    if (levels_.size() <= level) levels_.resize(level + 1);
    levels_[level].try_emplace(leaf.id, InnerWork{node, leaf.parent, {}});
    const uint32_t slot = node->image().ChildSlot(key);
    leaf.parent = Parent{leaf.id, slot};
    leaf.id = node->child(slot);
    if (level == 1) break;
    SOP_ASSIGN_OR_RETURN(NodeRef child, head_.Read(tree_, leaf.id));
    if (child == nullptr || child->level() + 1 != node->level()) {
      return Error(Reason::kDamaged, fmt::format("tree {}: node {} is missing or at a wrong level",
                                                 tree_.value, leaf.id.value));
    }
    node = std::move(child);
  }
  return leaf;
}

std::string TreeWriter::LowOf(const Leaf& leaf) const {
  std::optional<Parent> parent = leaf.parent;
  for (size_t level = 1; parent.has_value(); ++level) {
    const InnerWork& work = levels_[level].at(parent->id);
    if (parent->slot > 0) return work.node->image().Key(parent->slot);
    parent = work.parent;
  }
  return {};
}

// False if the leaf is not where it was.
absl::StatusOr<bool> TreeWriter::PutStagedRange(const StagedTree& staged, size_t number) {
  const StagedRange& range = staged.ranges[number];
  SOP_ASSIGN_OR_RETURN(const Leaf leaf, DescendToParent(range.low));
  if (leaf.id != range.replaced) return false;
  std::vector<NodePart> parts;
  for (size_t i = range.first; i < range.end; ++i) {
    parts.push_back({staged.leaves[i].low, staged.leaves[i].node, staged.leaves[i].count, false});
  }
  changes_.freed_values.insert(changes_.freed_values.end(), range.freed_values.begin(),
                               range.freed_values.end());
  SOP_RETURN_IF_ERROR(ReplaceLeaf(leaf, std::move(parts)));
  return true;
}

absl::Status TreeWriter::ReplaceLeaf(const Leaf& leaf, std::vector<NodePart> parts) {
  const NodeImageBuilder::Stamps stamps{options_.sequence, options_.sequence, 0};
  std::string empty = NodeImageBuilder(NodeKind::kLeaf, 0).Build(stamps);
  if (leaf.parent.has_value()) {
    RemoveNode(leaf.id);
    // A neighbour may only take over the range together with a sequence of its own: by a merge.
    if (parts.empty()) {
      parts.push_back({std::string(), FreshNode(), 0, true});
      PutImage(parts[0].node, std::move(empty));
    }
    ChildChange change;
    change.replaced = true;
    change.siblings = std::move(parts);
    Report(leaf.parent, 1, std::move(change));
    return absl::OkStatus();
  }
  // The root is a leaf and stays node 1.
  if (parts.size() > 1) {
    NodeEntries above(NodeKind::kInner, 1);
    for (const NodePart& part : parts) above.AppendChild(part.key, {part.node, part.count});
    PutEntries(kRootNode, above, above.Divide(options_.limits, NodeEntries::Growth::kTail),
               std::nullopt, 0);
    return absl::OkStatus();
  }
  if (parts.empty()) {
    PutImage(kRootNode, std::move(empty));
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(const NodeRef only, Current(parts[0].node));
  PutImage(kRootNode, only->image().bytes());
  RemoveNode(parts[0].node);
  return absl::OkStatus();
}

void TreeWriter::PutUnread(NodeId node, NodeAction action, std::string bytes) {
  changes_.nodes[node] = {nullptr, action, std::move(bytes)};
}

// Nothing will refer to values that were staged for what is cut off, nor to the node if nothing is
// left.
absl::StatusOr<uint64_t> TreeWriter::CutStaged(NodeId node, std::string_view end,
                                               const StagedOn& on) {
  SOP_ASSIGN_OR_RETURN(const NodeRef leaf, Current(node));
  bool exact;
  const uint32_t left = leaf->LowerBound(end, &exact);
  for (uint32_t i = left; i < leaf->item_count(); ++i) {
    const ItemView item = leaf->item(i);
    if (!item.is_reference()) continue;
    const auto reference = DecodeReference(item.value);
    if (!reference.has_value() || reference->value_id < MakeSerial(on.first_serials, 0)) continue;
    if (reference->value_id >= MakeSerial(on.end_serials, 0)) continue;
    changes_.freed_values.push_back(*reference);
  }
  if (left == 0) RemoveNode(node);
  return left;
}

}  // namespace sop::btree
