#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/catalog/check/check_report.h"
#include "core/catalog/check/snapshot_reader.h"

namespace sop::check {

// A leaf as its parent describes it.
struct OutlineLeaf {
  NodeId node;
  std::string low;  // keys from here on; the first leaf's is empty
  // Keys below this; absent: no end.
  std::optional<std::string> high;
  // Absent for a root that is a leaf: nobody counts it.
  std::optional<uint64_t> items;
};

// Keys below an inner node that cannot be read.
struct OutlineHole {
  NodeId node;
  std::string low;
  std::optional<std::string> high;
  std::optional<uint64_t> items;
};

// The inner nodes of a tree, walked from the root: which leaves there are and which keys belong
// where. Leaves are not read, but for a root that is one. Thread-compatible.
class TreeOutline {
 public:
  // Findings go to `report`, with the tree and `store`. Fails only if the storage fails in another
  // way than by damage.
  absl::Status Walk(SnapshotReader& reader, TreeId tree, const std::string& store,
                    CheckReport* report);

  TreeId tree() const { return tree_; }
  // In key order.
  const std::vector<OutlineLeaf>& leaves() const { return leaves_; }
  const std::vector<OutlineHole>& holes() const { return holes_; }
  // Ascending.
  const std::vector<NodeId>& inner_nodes() const { return inner_; }
  // Indexes of leaves(), ascending by node. A node that is named twice is in it twice.
  const std::vector<uint32_t>& leaves_by_node() const { return by_node_; }

 private:
  struct Step;

  absl::Status Visit(const Step& step);
  void Check(const Step& step, const btree::NodeVersion& inner);
  void AddHole(const Step& step, FindingKind kind, std::string what);
  void Add(FindingKind kind, std::string what);

  TreeId tree_;
  SnapshotReader* reader_ = nullptr;
  std::string store_;
  CheckReport* report_ = nullptr;
  std::vector<OutlineLeaf> leaves_;
  std::vector<OutlineHole> holes_;
  std::vector<NodeId> inner_;
  std::vector<uint32_t> by_node_;
};

}  // namespace sop::check
