#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/btree/node/node_entries.h"
#include "core/btree/node/node_version.h"
#include "core/catalog/check/repair_report.h"
#include "core/catalog/check/snapshot_reader.h"
#include "core/catalog/check/tree_outline.h"
#include "core/persistence/copy_target.h"

namespace sop::check {

// Copies what can be read of a damaged tree: leaves as they are, without items that are out of
// place or whose values are gone, and inner nodes built anew over them with exact counts. Leaves
// below an inner node that is lost are searched for. Confined to one thread.
class TreeSalvage {
 public:
  // Whether an item may be kept; for the catalog, whose entries have to be understood.
  using ItemFilter = std::function<bool(std::string_view key, const btree::ItemView& item)>;

  // All must outlive this. `keep` may be null.
  TreeSalvage(SnapshotReader& reader, persistence::CopyTarget& target, ItemFilter keep,
              RepairReport* report)
      : reader_(reader), target_(target), keep_(std::move(keep)), report_(*report) {}

  // Fails only if storage or target fail in another way than by damage.
  absl::Status Run(TreeId tree, const std::string& store);

 private:
  struct Leaf {
    NodeId node;
    std::string low;
    uint64_t items = 0;
  };
  // A leaf that nobody names, met in a search.
  struct Stray {
    NodeId node;
    Sequence sequence;
    std::string first;
    std::string last;
  };

  absl::Status KeepLeaf(const OutlineLeaf& expected);
  // The leaf's bytes without what cannot be kept; `*items` is what is left.
  absl::StatusOr<std::string> Filtered(const OutlineLeaf& expected, const btree::NodeVersion& leaf,
                                       uint64_t* items);
  absl::StatusOr<bool> CopyValue(const OutlineLeaf& expected, std::string_view key,
                                 const btree::ItemView& item);
  absl::Status Emit(Leaf leaf, std::string bytes);
  absl::Status FillHole(const OutlineHole& hole, const std::vector<Stray>& strays);
  absl::StatusOr<std::vector<Stray>> FindStrays(const TreeOutline& outline);
  // The first place from `from` on behind which the storage can read again; nothing if there is
  // none in the tree.
  std::optional<uint64_t> PlaceBehindDamage(uint64_t from) const;
  bool CanScan(uint64_t from) const;
  absl::Status BuildInnerNodes();
  void Lose(std::string low, std::optional<std::string> high, std::optional<uint64_t> items,
            std::string what);

  SnapshotReader& reader_;
  persistence::CopyTarget& target_;
  const ItemFilter keep_;
  RepairReport& report_;
  TreeId tree_;
  std::string store_;
  std::vector<Leaf> leaves_;
  std::string only_leaf_;  // bytes of the first leaf, until there is a second
};

}  // namespace sop::check
