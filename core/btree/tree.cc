#include "core/btree/tree.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::btree {
namespace {

// `cached`: the child, if it is known already.
absl::StatusOr<NodeRef> ExistingChild(NodeSource& source, TreeId tree, const NodeVersion& parent,
                                      NodeId id, NodeRef cached) {
  if (cached == nullptr) {
    SOP_ASSIGN_OR_RETURN(cached, source.Read(tree, id));
  }
  if (cached == nullptr || cached->level() != parent.level() - 1) {
    return Error(
        Reason::kDamaged,
        fmt::format("tree {}: node {} is missing or at a wrong level", tree.value, id.value),
        {{"tree", fmt::format("{}", tree.value)}});
  }
  return cached;
}

absl::StatusOr<NodeRef> ReadExistingChild(NodeSource& source, TreeId tree,
                                          const NodeVersion& parent, uint32_t slot) {
  return ExistingChild(source, tree, parent, parent.child(slot), nullptr);
}

}  // namespace

absl::StatusOr<std::optional<FoundItem>> Find(NodeSource& source, TreeId tree,
                                              std::string_view key) {
  SOP_ASSIGN_OR_RETURN(NodeRef node, source.Read(tree, kRootNode));
  if (node == nullptr) return std::nullopt;
  while (!node->is_leaf()) {
    SOP_ASSIGN_OR_RETURN(node,
                         ReadExistingChild(source, tree, *node, node->image().ChildSlot(key)));
  }
  FoundItem found;
  if (!node->Find(key, &found.item)) return std::nullopt;
  found.leaf = std::move(node);
  return found;
}

// Step by step over all nodes: each step needs what the one before has brought.
void FindAndPrefetch(NodeSource& source, TreeId tree, std::span<const NodeId> nodes,
                     NodeRef* versions) {
  source.FindCached(tree, nodes, versions);
  const std::span<NodeRef> found(versions, nodes.size());
  for (const NodeRef& node : found) {
    if (node != nullptr) node->Prefetch();
  }
  for (const NodeRef& node : found) {
    if (node != nullptr) node->image().PrefetchHeads();
  }
}

absl::Status FindAll(NodeSource& source, TreeId tree, std::span<const std::string_view> keys,
                     std::optional<FoundItem>* found) {
  constexpr size_t kUsual = 16;
  SOP_ASSIGN_OR_RETURN(const NodeRef root, source.Read(tree, kRootNode));
  if (root == nullptr) return absl::OkStatus();
  absl::InlinedVector<NodeRef, kUsual> nodes(keys.size(), root);
  absl::InlinedVector<NodeRef, kUsual> below;
  absl::InlinedVector<NodeId, kUsual> ids(keys.size());
  for (int level = root->level(); level > 0; --level) {
    for (size_t i = 0; i < keys.size(); ++i) {
      ids[i] = nodes[i]->child(nodes[i]->image().ChildSlot(keys[i]));
    }
    below.assign(keys.size(), nullptr);
    FindAndPrefetch(source, tree, ids, below.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      SOP_ASSIGN_OR_RETURN(below[i], ExistingChild(source, tree, *nodes[i], ids[i], below[i]));
    }
    nodes.swap(below);
  }
  for (size_t i = 0; i < keys.size(); ++i) nodes[i]->image().PrefetchCell(keys[i]);
  for (size_t i = 0; i < keys.size(); ++i) {
    FoundItem item;
    if (!nodes[i]->Find(keys[i], &item.item)) continue;
    item.leaf = std::move(nodes[i]);
    found[i] = std::move(item);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Count(NodeSource& source, TreeId tree) {
  SOP_ASSIGN_OR_RETURN(const NodeRef root, source.Read(tree, kRootNode));
  return root == nullptr ? 0 : root->item_count();
}

absl::StatusOr<uint64_t> Rank(NodeSource& source, TreeId tree, std::string_view key) {
  SOP_ASSIGN_OR_RETURN(NodeRef node, source.Read(tree, kRootNode));
  if (node == nullptr) return 0;
  uint64_t rank = 0;
  while (!node->is_leaf()) {
    const uint32_t slot = node->image().ChildSlot(key);
    rank += node->CountBefore(slot);
    SOP_ASSIGN_OR_RETURN(node, ReadExistingChild(source, tree, *node, slot));
  }
  bool exact;
  return rank + node->LowerBound(key, &exact);
}

absl::StatusOr<uint64_t> CountRange(NodeSource& source, TreeId tree, std::string_view begin,
                                    std::string_view end) {
  uint64_t below_end;
  if (end.empty()) {
    SOP_ASSIGN_OR_RETURN(below_end, Count(source, tree));
  } else {
    SOP_ASSIGN_OR_RETURN(below_end, Rank(source, tree, end));
  }
  if (begin.empty()) return below_end;
  SOP_ASSIGN_OR_RETURN(const uint64_t below_begin, Rank(source, tree, begin));
  return below_end > below_begin ? below_end - below_begin : 0;
}

void Cursor::Reset() {
  path_.clear();
  leaf_ = nullptr;
  plain_end_ = 0;
  index_ = 0;
  key_ready_ = false;
}

absl::StatusOr<NodeRef> Cursor::ReadRoot() {
  Reset();
  return source_.Read(tree_, kRootNode);
}

absl::StatusOr<NodeRef> Cursor::ReadChild(const NodeRef& parent, uint32_t slot) {
  return ReadExistingChild(source_, tree_, *parent, slot);
}

absl::Status Cursor::Descend(NodeRef node, Side side) {
  while (!node->is_leaf()) {
    const uint32_t slot = side == Side::kFirst ? 0 : node->children() - 1;
    path_.push_back({node, slot});
    SOP_ASSIGN_OR_RETURN(node, ReadChild(path_.back().node, slot));
  }
  Enter(std::move(node));
  return absl::OkStatus();
}

absl::Status Cursor::SeekToLeaf(std::string_view key) {
  SOP_ASSIGN_OR_RETURN(NodeRef node, ReadRoot());
  if (node == nullptr) return absl::OkStatus();
  while (!node->is_leaf()) {
    const uint32_t slot = node->image().ChildSlot(key);
    path_.push_back({node, slot});
    SOP_ASSIGN_OR_RETURN(node, ReadChild(path_.back().node, slot));
  }
  Enter(std::move(node));
  bool exact;
  index_ = leaf_->LowerBound(key, &exact);
  return absl::OkStatus();
}

absl::Status Cursor::Seek(std::string_view key) {
  SOP_RETURN_IF_ERROR(SeekToLeaf(key));
  return leaf_ == nullptr || Valid() ? absl::OkStatus() : NextLeaf();
}

absl::Status Cursor::SeekBefore(std::string_view key) {
  SOP_RETURN_IF_ERROR(Seek(key));
  if (Valid()) return Previous();
  return SeekToLast();
}

absl::Status Cursor::SeekToFirst() {
  SOP_ASSIGN_OR_RETURN(NodeRef node, ReadRoot());
  if (node == nullptr) return absl::OkStatus();
  SOP_RETURN_IF_ERROR(Descend(std::move(node), Side::kFirst));
  return Valid() ? absl::OkStatus() : NextLeaf();
}

absl::Status Cursor::SeekToLast() {
  SOP_ASSIGN_OR_RETURN(NodeRef node, ReadRoot());
  if (node == nullptr) return absl::OkStatus();
  SOP_RETURN_IF_ERROR(Descend(std::move(node), Side::kLast));
  if (leaf_->item_count() == 0) return PreviousLeaf();
  index_ = static_cast<uint32_t>(leaf_->item_count() - 1);
  return absl::OkStatus();
}

absl::Status Cursor::SeekToRank(uint64_t rank) {
  SOP_ASSIGN_OR_RETURN(NodeRef node, ReadRoot());
  if (node == nullptr || rank >= node->item_count()) return absl::OkStatus();
  while (!node->is_leaf()) {
    const auto place = node->Locate(rank);
    if (!place.has_value()) {
      return Error(Reason::kDamaged, fmt::format("tree {}: counts disagree", tree_.value));
    }
    rank = place->rank;
    path_.push_back({node, place->slot});
    SOP_ASSIGN_OR_RETURN(node, ReadChild(path_.back().node, path_.back().slot));
  }
  Enter(std::move(node));
  index_ = static_cast<uint32_t>(rank);
  return absl::OkStatus();
}

absl::Status Cursor::Next() {
  key_ready_ = false;
  ++index_;
  return index_ < leaf_->item_count() ? absl::OkStatus() : NextLeaf();
}

absl::Status Cursor::Advance(uint32_t items) {
  key_ready_ = false;
  index_ += items;
  return index_ < leaf_->item_count() ? absl::OkStatus() : NextLeaf();
}

absl::Status Cursor::SkipLeaf() {
  key_ready_ = false;
  return NextLeaf();
}

absl::Status Cursor::Previous() {
  key_ready_ = false;
  if (index_ > 0) {
    --index_;
    return absl::OkStatus();
  }
  return PreviousLeaf();
}

absl::Status Cursor::NextLeaf() {
  key_ready_ = false;
  for (;;) {
    while (!path_.empty() && path_.back().slot + 1 >= path_.back().node->children()) {
      path_.pop_back();
    }
    if (path_.empty()) {
      Reset();
      return absl::OkStatus();
    }
    const uint32_t slot = ++path_.back().slot;
    SOP_ASSIGN_OR_RETURN(NodeRef node, ReadChild(path_.back().node, slot));
    SOP_RETURN_IF_ERROR(Descend(std::move(node), Side::kFirst));
    index_ = 0;
    if (leaf_->item_count() > 0) return absl::OkStatus();
  }
}

absl::Status Cursor::PreviousLeaf() {
  key_ready_ = false;
  for (;;) {
    while (!path_.empty() && path_.back().slot == 0) path_.pop_back();
    if (path_.empty()) {
      Reset();
      return absl::OkStatus();
    }
    const uint32_t slot = --path_.back().slot;
    SOP_ASSIGN_OR_RETURN(NodeRef node, ReadChild(path_.back().node, slot));
    SOP_RETURN_IF_ERROR(Descend(std::move(node), Side::kLast));
    if (leaf_->item_count() > 0) {
      index_ = static_cast<uint32_t>(leaf_->item_count() - 1);
      return absl::OkStatus();
    }
  }
}

std::string_view Cursor::key() {
  if (!key_ready_) {
    leaf_->AssignKey(index_, &key_);
    key_ready_ = true;
    prefix_ready_ = plain_end_ > 0;
  }
  return key_;
}

uint64_t Cursor::rank() const {
  uint64_t rank = index_;
  for (const Step& step : path_) rank += step.node->CountBefore(step.slot);
  return rank;
}

std::string Cursor::LeafLow() const {
  for (auto step = path_.rbegin(); step != path_.rend(); ++step) {
    if (step->slot > 0) return step->node->image().Key(step->slot);
  }
  return {};
}

std::optional<std::string> Cursor::LeafHigh() const {
  for (auto step = path_.rbegin(); step != path_.rend(); ++step) {
    if (step->slot + 1 < step->node->children()) return step->node->image().Key(step->slot + 1);
  }
  return std::nullopt;
}

}  // namespace sop::btree
