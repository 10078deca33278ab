#include "core/catalog/check/database_repair.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/check/database_check.h"
#include "core/catalog/check/snapshot_reader.h"
#include "core/catalog/check/tree_salvage.h"
#include "core/catalog/store_entry.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/commit/outcome.h"
#include "core/txn/count_ledger.h"

namespace sop::check {
namespace {

using persistence::PlaceRange;
using persistence::Space;

PlaceRange WholeTree(TreeId tree) {
  return {.begin = {tree, 0}, .end = {{TreeId{tree.value + 1}, 0}}};
}

// Which trees cannot be copied as they are.
struct Suspects {
  std::set<TreeId> trees;
  bool all = false;  // count records or the engine's rows are damaged

  explicit Suspects(const CheckReport& found) {
    for (const Finding& finding : found.findings) {
      const bool of_file = finding.kind == FindingKind::kFileDamaged;
      if (finding.tree.has_value() && !of_file) trees.insert(*finding.tree);
      if (finding.kind == FindingKind::kRowDamaged) all = true;
    }
    // Not every finding is listed.
    if (found.finding_count > found.findings.size()) all = true;
  }
  bool contains(TreeId tree) const { return all || trees.contains(tree); }
};

// Copies the trees and rows of one snapshot.
class Copy {
 public:
  Copy(const persistence::StorageSnapshot& snapshot, SnapshotReader& reader,
       persistence::CopyTarget& target, RepairReport* report)
      : snapshot_(snapshot), reader_(reader), target_(target), report_(*report) {}

  absl::Status CopyTree(TreeId tree) {
    ++report_.trees;
    absl::Status failure;
    SOP_RETURN_IF_ERROR(
        snapshot_.ScanNodes(WholeTree(tree), [&](TreeId, NodeId node, std::string_view bytes) {
          const auto image = btree::NodeImage::Parse(std::string(bytes));
          if (image.ok() && (*image)->is_leaf()) report_.items += (*image)->slots();
          failure = image.ok() ? target_.AddNode(tree, node, bytes) : image.status();
          return failure.ok();
        }));
    SOP_RETURN_IF_ERROR(failure);
    SOP_RETURN_IF_ERROR(
        snapshot_.ScanValues(WholeTree(tree), [&](TreeId, Serial value_id, std::string_view value) {
          ++report_.values;
          failure = target_.AddValue(tree, value_id, value);
          return failure.ok();
        }));
    return failure;
  }

  // The catalog's entries that can be understood are noted on the way.
  absl::Status SalvageCatalog(KnownTrees* known) {
    TreeSalvage salvage(
        reader_, target_,
        [known](std::string_view key, const btree::ItemView& item) {
          auto entry = catalog::ParseStoreEntry(item.value);
          const auto expected =
              entry.ok() ? catalog::CatalogKey(entry->name) : absl::StatusOr<std::string>("");
          if (!entry.ok() || !expected.ok() || *expected != key) return false;
          for (const auto& tree : entry->trees) known->names.try_emplace(tree.tree, entry->name);
          known->entries.push_back(*std::move(entry));
          return true;
        },
        &report_);
    return salvage.Run(kCatalogTree, "catalog");
  }

  absl::Status SalvageTree(TreeId tree, const std::string& store) {
    return TreeSalvage(reader_, target_, nullptr, &report_).Run(tree, store);
  }

  absl::Status CopyRows(const KnownTrees& known) {
    TreeId next{1};
    if (!known.names.empty()) next.value = known.names.rbegin()->first.value + 1;
    absl::Status failure;
    const auto add = [&](Space space, std::string_view key, std::string_view value) {
      failure = target_.AddRow(space, key, value);
      return failure.ok();
    };
    const absl::Status meta =
        snapshot_.ScanRows(Space::kMeta, "", "", [&](std::string_view key, std::string_view value) {
          if (key == txn::kNextTreeRow) {
            next = std::max(next, txn::DecodeNextTree(value).value_or(next));
            return true;
          }
          const bool sound =
              key == txn::kOutcomeTotalsRow
                  ? txn::DecodeOutcomeTotals(value).has_value()
                  : txn::CountRecordSequence(key).ok() && txn::DecodeCountRecord(value).ok();
          return sound ? add(Space::kMeta, key, value) : true;
        });
    if (ReasonOf(meta) != Reason::kDamaged) SOP_RETURN_IF_ERROR(meta);
    SOP_RETURN_IF_ERROR(failure);
    SOP_RETURN_IF_ERROR(target_.AddRow(Space::kMeta, txn::kNextTreeRow, txn::EncodeNextTree(next)));
    const absl::Status outcomes = snapshot_.ScanRows(
        Space::kOutcomes, "", "", [&](std::string_view key, std::string_view value) {
          const bool sound = key.size() == 16 && txn::DecodeOutcome(value).ok();
          return sound ? add(Space::kOutcomes, key, value) : true;
        });
    if (ReasonOf(outcomes) != Reason::kDamaged) SOP_RETURN_IF_ERROR(outcomes);
    return failure;
  }

  // A log or manifest that is not what it was may have told of commits that nothing else does.
  void LoseCommits(const CheckReport& found) {
    for (const Finding& finding : found.findings) {
      const bool decides = finding.kind == FindingKind::kFileDamaged &&
                           (finding.what.find(".log: ") != std::string::npos ||
                            finding.what.find("db/MANIFEST-") == 0);
      if (!decides) continue;
      report_.losses.push_back({"", kCatalogTree, "", std::nullopt, std::nullopt,
                                "the newest commits may be lost: " + finding.what});
    }
  }

  // Trees of stores whose catalog entry is lost.
  absl::Status LoseTreesWithoutStore(const KnownTrees& known) {
    SOP_ASSIGN_OR_RETURN(const std::vector<TreeId> found, TreesIn(snapshot_));
    for (const TreeId tree : found) {
      if (known.names.contains(tree)) continue;
      ++report_.dropped_orphans;
      const auto items = btree::Count(reader_, tree);
      std::optional<uint64_t> count;
      if (items.ok()) count = *items;
      report_.losses.push_back({"", tree, "", std::nullopt, count, "no store has this tree"});
    }
    return absl::OkStatus();
  }

 private:
  // Of a commit that never came.
  bool IsStaged(uint64_t number) const {
    return number >> kSerialOrdinalBits > snapshot_.sequence().value;
  }

  const persistence::StorageSnapshot& snapshot_;
  SnapshotReader& reader_;
  persistence::CopyTarget& target_;
  RepairReport& report_;
};

}  // namespace

absl::StatusOr<RepairReport> CopySound(const persistence::StorageSnapshot& snapshot,
                                       const CheckReport& found, persistence::CopyTarget& target) {
  RepairReport report;
  report.database_id = found.database_id;
  report.sequence = snapshot.sequence();
  absl::Status damaged_rows;
  SnapshotReader reader(snapshot, &damaged_rows);
  const Suspects suspects(found);
  Copy copy(snapshot, reader, target, &report);
  KnownTrees known;
  known.names[kCatalogTree] = "catalog";
  // Always anew: the entries are needed, and it is small.
  SOP_RETURN_IF_ERROR(copy.SalvageCatalog(&known));
  for (const auto& [tree, store] : known.names) {
    if (tree == kCatalogTree) continue;
    SOP_RETURN_IF_ERROR(suspects.contains(tree) ? copy.SalvageTree(tree, store)
                                                : copy.CopyTree(tree));
  }
  copy.LoseCommits(found);
  SOP_RETURN_IF_ERROR(copy.LoseTreesWithoutStore(known));
  SOP_RETURN_IF_ERROR(copy.CopyRows(known));
  return report;
}

}  // namespace sop::check
