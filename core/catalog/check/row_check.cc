#include "core/catalog/check/row_check.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/tree.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/commit/outcome.h"
#include "core/txn/count_ledger.h"
#include "core/txn/feed/feed_retention.h"
#include "core/txn/feed/feed_row.h"

namespace sop::check {
namespace {

void AddRow(std::string what, CheckReport* report) {
  Finding finding;
  finding.kind = FindingKind::kRowDamaged;
  finding.what = std::move(what);
  report->Add(std::move(finding));
}

void AddEntry(std::string what, CheckReport* report) {
  Finding finding;
  finding.kind = FindingKind::kCatalogDamaged;
  finding.store = "catalog";
  finding.tree = kCatalogTree;
  finding.what = std::move(what);
  report->Add(std::move(finding));
}

void AddStore(std::string_view key, catalog::StoreEntry entry, KnownTrees* known,
              CheckReport* report) {
  const auto expected = catalog::CatalogKey(entry.name);
  if (!expected.ok() || *expected != key) {
    AddEntry(fmt::format("entry '{}' is under another name", base::Printable(entry.name)), report);
  }
  for (const catalog::StoreTree& tree : entry.trees) {
    const auto [owner, added] = known->names.try_emplace(tree.tree, entry.name);
    if (added) continue;
    AddEntry(fmt::format("'{}' and '{}' both have tree {}", base::Printable(owner->second),
                         base::Printable(entry.name), tree.tree.value),
             report);
  }
  known->entries.push_back(std::move(entry));
}

void CheckMetaRow(std::string_view key, std::string_view value, const KnownTrees& known,
                  CheckReport* report) {
  if (key == txn::kNextTreeRow) {
    const auto next = txn::DecodeNextTree(value);
    if (!next.has_value()) return AddRow("row of the next tree is damaged", report);
    if (known.names.empty() || known.names.rbegin()->first < *next) return;
    return AddRow(fmt::format("the next tree would be {}, tree {} is there", next->value,
                              known.names.rbegin()->first.value),
                  report);
  }
  if (key == txn::kOutcomeTotalsRow) {
    if (!txn::DecodeOutcomeTotals(value).has_value()) AddRow("totals are damaged", report);
    return;
  }
  if (key == txn::kFeedStateRow) {
    if (!txn::DecodeFeedState(value).has_value()) AddRow("row of feeds is damaged", report);
    return;
  }
  if (key.starts_with(txn::kCountRecordsBegin)) return;  // read by SnapshotReader
  AddRow(fmt::format("row {} is unknown", base::Printable(key)), report);
}

void CheckFeedRow(std::string_view key, std::string_view value, CheckReport* report) {
  const auto place = txn::DecodeFeedRowKey(key);
  if (!place.has_value())
    return AddRow(fmt::format("feed row {} is unknown", base::Hex(key)), report);
  uint32_t read = 0;
  const absl::Status sound = txn::VisitFeedRow(
      *place, value, 0, [](const txn::FeedEvent&) { return false; }, &read);
  if (!sound.ok()) AddRow(std::string(sound.message()), report);
}

}  // namespace

absl::StatusOr<KnownTrees> ReadCatalog(SnapshotReader& reader, CheckReport* report) {
  KnownTrees known;
  known.names[kCatalogTree] = "catalog";
  btree::Cursor cursor(reader, kCatalogTree);
  absl::Status status = cursor.SeekToFirst();
  while (status.ok() && cursor.Valid()) {
    auto entry = catalog::ParseStoreEntry(cursor.item().value);
    if (entry.ok()) {
      AddStore(cursor.key(), *std::move(entry), &known, report);
    } else {
      AddEntry(std::string(entry.status().message()), report);
    }
    status = cursor.Next();
  }
  // Where the tree is damaged the check of it says so.
  if (!status.ok() && ReasonOf(status) != Reason::kDamaged) return status;
  if (!status.ok()) AddEntry(std::string(status.message()), report);
  return known;
}

void CheckRows(const persistence::StorageSnapshot& snapshot, const KnownTrees& known,
               CheckReport* report) {
  absl::Status scanned = snapshot.ScanRows(persistence::Space::kMeta, "", "",
                                           [&](std::string_view key, std::string_view value) {
                                             report->bytes += key.size() + value.size();
                                             CheckMetaRow(key, value, known, report);
                                             return true;
                                           });
  if (!scanned.ok()) AddRow(std::string(scanned.message()), report);
  scanned = snapshot.ScanRows(
      persistence::Space::kOutcomes, "", "", [&](std::string_view key, std::string_view value) {
        report->bytes += key.size() + value.size();
        if (key.size() == 16 && txn::DecodeOutcome(value).ok()) return true;
        AddRow(fmt::format("outcome {} is damaged", base::Hex(key)), report);
        return true;
      });
  if (!scanned.ok()) AddRow(std::string(scanned.message()), report);
  scanned = snapshot.ScanRows(persistence::Space::kFeed, "", "",
                              [&](std::string_view key, std::string_view value) {
                                report->bytes += key.size() + value.size();
                                CheckFeedRow(key, value, report);
                                return true;
                              });
  if (!scanned.ok()) AddRow(std::string(scanned.message()), report);
}

}  // namespace sop::check
