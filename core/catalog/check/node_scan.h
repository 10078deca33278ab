#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/catalog/check/check_report.h"
#include "core/catalog/check/snapshot_reader.h"
#include "core/catalog/check/tree_outline.h"
#include "core/persistence/storage.h"

namespace sop::check {

// A value that an item refers to.
struct ReferredValue {
  persistence::ValueReference value;
  NodeId leaf;
};

// Holds the leaves of a tree against its outline, a part of the tree at a time: parts are
// independent and may run at once. Confined to one thread.
class NodeScan {
 public:
  // [first, last) of TreeOutline::leaves_by_node(). The first part of a tree begins at node 0, the
  // last one ends with the tree, so that every node is met.
  struct Part {
    size_t first = 0;
    size_t last = 0;
  };

  // All must outlive this. `store` as in findings.
  NodeScan(SnapshotReader& reader, const TreeOutline& outline, const std::string& store,
           CheckReport* report)
      : reader_(reader), outline_(outline), store_(store), report_(*report) {}

  // Reads the nodes of the part in one sequence; behind one that cannot be read it goes on with the
  // next leaf. Fails only if the storage fails in another way than by damage.
  absl::Status Run(const Part& part);

  // What the leaves read refer to, in no order.
  std::vector<ReferredValue> TakeValues() { return std::move(values_); }

 private:
  const OutlineLeaf& LeafAt(size_t index) const {
    return outline_.leaves()[outline_.leaves_by_node()[index]];
  }
  void Visit(NodeId node, std::string_view bytes);
  void CheckLeaf(const OutlineLeaf& expected, const btree::NodeVersion& leaf);
  void CheckItem(const OutlineLeaf& expected, const btree::NodeVersion& leaf, uint32_t index);
  void Lose(const OutlineLeaf& leaf, FindingKind kind, std::string what);
  void Add(FindingKind kind, std::string what);

  SnapshotReader& reader_;
  const TreeOutline& outline_;
  const std::string& store_;
  CheckReport& report_;
  std::vector<ReferredValue> values_;
  size_t next_ = 0;  // the leaf that is expected next
  size_t last_ = 0;
};

}  // namespace sop::check
