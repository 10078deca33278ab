#include "core/catalog/check/tree_outline.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::check {

// An inner node on the way down: what its parent says of it.
struct TreeOutline::Step {
  NodeId node;
  std::optional<int> level;  // absent for the root
  std::string low;
  std::optional<std::string> high;
  std::optional<uint64_t> items;
};

absl::Status TreeOutline::Walk(SnapshotReader& reader, TreeId tree, const std::string& store,
                               CheckReport* report) {
  reader_ = &reader;
  tree_ = tree;
  store_ = store;
  report_ = report;
  SOP_RETURN_IF_ERROR(Visit({kRootNode, std::nullopt, "", std::nullopt, std::nullopt}));
  std::sort(inner_.begin(), inner_.end());
  by_node_.resize(leaves_.size());
  std::iota(by_node_.begin(), by_node_.end(), 0U);
  std::sort(by_node_.begin(), by_node_.end(),
            [this](uint32_t a, uint32_t b) { return leaves_[a].node < leaves_[b].node; });
  for (size_t i = 1; i < by_node_.size(); ++i) {
    const NodeId node = leaves_[by_node_[i]].node;
    if (node != leaves_[by_node_[i - 1]].node) continue;
    Add(FindingKind::kNodeMissing, fmt::format("leaf {} has two parents", node.value));
  }
  return absl::OkStatus();
}

absl::Status TreeOutline::Visit(const Step& step) {
  const auto read = reader_->Read(tree_, step.node);
  if (!read.ok()) {
    if (ReasonOf(read.status()) != Reason::kDamaged) return read.status();
    AddHole(step, FindingKind::kNodeUnreadable, std::string(read.status().message()));
    return absl::OkStatus();
  }
  const btree::NodeRef& node = *read;
  if (node == nullptr) {
    if (step.level.has_value()) AddHole(step, FindingKind::kNodeMissing, "it is not there");
    return absl::OkStatus();  // a tree without a root is empty
  }
  if (node->is_leaf() && !step.level.has_value()) {
    leaves_.push_back({step.node, "", std::nullopt, std::nullopt});
    return absl::OkStatus();
  }
  if (node->is_leaf() || (step.level.has_value() && node->level() != *step.level)) {
    AddHole(step, FindingKind::kNodeMissing, fmt::format("it is of level {}", node->level()));
    return absl::OkStatus();
  }
  ++report_->nodes;
  report_->bytes += node->image().size();
  inner_.push_back(step.node);
  Check(step, *node);
  for (uint32_t slot = 0; slot < node->children(); ++slot) {
    Step child = {node->child(slot), node->level() - 1, step.low, step.high,
                  node->child_count(slot)};
    if (slot > 0) child.low = node->image().Key(slot);
    if (slot + 1 < node->children()) child.high = node->image().Key(slot + 1);
    if (node->level() == 1) {
      leaves_.push_back({child.node, std::move(child.low), std::move(child.high), child.items});
    } else {
      SOP_RETURN_IF_ERROR(Visit(child));
    }
  }
  return absl::OkStatus();
}

void TreeOutline::Check(const Step& step, const btree::NodeVersion& inner) {
  uint64_t items = 0;
  for (uint32_t slot = 0; slot < inner.children(); ++slot) {
    items += inner.child_count(slot);
    if (slot == 0) continue;
    const std::string key = inner.image().Key(slot);
    if (key >= step.low && (!step.high.has_value() || key < *step.high)) continue;
    Add(FindingKind::kKeyOrder,
        fmt::format("separator {} of inner node {} is outside its range", slot, step.node.value));
  }
  if (inner.children() == 0) {
    Add(FindingKind::kNodeMissing, fmt::format("inner node {} has no children", step.node.value));
  }
  if (step.items.has_value() && items != *step.items) {
    Add(FindingKind::kCountDiffers, fmt::format("inner node {} counts {} items, its parent {}",
                                                step.node.value, items, *step.items));
  }
  if (inner.image().sequence() > reader_->snapshot().sequence()) {
    Add(FindingKind::kSequenceDiffers,
        fmt::format("inner node {} is of commit {}, the last is {}", step.node.value,
                    inner.image().sequence().value, reader_->snapshot().sequence().value));
  }
}

void TreeOutline::AddHole(const Step& step, FindingKind kind, std::string what) {
  holes_.push_back({step.node, step.low, step.high, step.items});
  Finding finding;
  finding.kind = kind;
  finding.store = store_;
  finding.tree = tree_;
  finding.what = fmt::format("{} {}: {}", step.level.has_value() ? "inner node" : "root",
                             step.node.value, what);
  finding.low = step.low;
  finding.high = step.high;
  finding.unreadable_items = step.items;
  report_->Add(std::move(finding));
}

void TreeOutline::Add(FindingKind kind, std::string what) {
  Finding finding;
  finding.kind = kind;
  finding.store = store_;
  finding.tree = tree_;
  finding.what = std::move(what);
  report_->Add(std::move(finding));
}

}  // namespace sop::check
