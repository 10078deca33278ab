// What is kept beside nodes: commit records, outcomes, counts, catalog entries, lists, folders.
#include "core/base/check.h"
#include "core/catalog/store_entry.h"
#include "core/persistence/record.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/commit/outcome.h"
#include "core/txn/count_ledger.h"
#include "server/session/database_list.h"
#include "storage/rocksdb/database_format.h"
#include "tests/fuzz/fuzz_target.h"

namespace sop::fuzz {
namespace {

void ReadRecord(std::string_view bytes) {
  const auto record = persistence::DecodeRecord(bytes);
  if (!record.ok()) return;
  const auto again = persistence::DecodeRecord(persistence::EncodeRecord(*record));
  SOP_CHECK(again.ok() && *again == *record);
}

void ReadOutcome(std::string_view bytes) {
  const auto outcome = txn::DecodeOutcome(bytes);
  if (!outcome.ok()) return;
  const auto again = txn::DecodeOutcome(txn::EncodeOutcome(*outcome));
  SOP_CHECK(again.ok() && again->reply == outcome->reply && again->version == outcome->version);
}

void ReadRows(std::string_view bytes) {
  if (const auto counts = txn::DecodeCountRecord(bytes); counts.ok()) {
    SOP_CHECK(txn::DecodeCountRecord(txn::EncodeCountRecord(*counts)).ok());
  }
  (void)txn::CountRecordSequence(bytes);
  (void)txn::DecodeNextTree(bytes);
  (void)txn::DecodeOutcomeTotals(bytes);
}

void ReadEntry(std::string_view bytes) {
  const auto entry = catalog::ParseStoreEntry(bytes);
  if (!entry.ok()) return;
  const auto again = catalog::ParseStoreEntry(catalog::Serialize(*entry));
  SOP_CHECK(again.ok() && *again == *entry);
  (void)catalog::CatalogKey(entry->name);
}

void ReadList(std::string_view bytes) {
  const auto list = session::ParseDatabaseList(bytes);
  if (!list.ok()) return;
  const auto again = session::ParseDatabaseList(session::SerializeDatabaseList(*list));
  SOP_CHECK(again.ok() && *again == *list);
}

void ReadFormat(std::string_view bytes) {
  const auto format = rocksdb_storage::DecodeFormat("folder", bytes);
  if (!format.ok()) return;
  const auto again =
      rocksdb_storage::DecodeFormat("folder", rocksdb_storage::EncodeFormat(*format));
  SOP_CHECK(again.ok() && *again == *format);
}

std::string ARecord() {
  persistence::CommitRecord record;
  record.first = Sequence{4};
  record.last = Sequence{6};
  record.nodes = {{TreeId{2}, NodeId{7}, persistence::NodeAction::kMerge, "delta"},
                  {TreeId{2}, NodeId{8}, persistence::NodeAction::kRemove, ""}};
  record.rows = {{persistence::Space::kMeta, "t", "row"},
                 {persistence::Space::kOutcomes, std::string(16, 'k'), std::nullopt}};
  record.values = {{TreeId{2}, MakeSerial(Sequence{4}, 1), "a value"}};
  record.dropped_trees = {TreeId{9}};
  record.writes = {{TreeId{2}, Sequence{5}, persistence::WriteKind::kPut, true, "key"}};
  return persistence::EncodeRecord(record);
}

std::string AnEntry() {
  catalog::StoreEntry entry;
  entry.id = StoreId{3};
  entry.name = "words";
  entry.trees = {{catalog::kItemsRole, TreeId{3}}};
  entry.schema = *btree::KeySchema::ForRecord(
      {{"word", btree::ScalarType::kString}, {"count", btree::ScalarType::kInt64}}, {{"word"}});
  entry.schema_version = 1;
  return catalog::Serialize(entry);
}

}  // namespace

std::vector<std::string> Seeds() {
  const txn::TreeCountChange change{TreeId{2}, {NodeId{1}, NodeId{5}, -3}};
  return {
      Chosen(0, ARecord()),
      Chosen(1, ARecord()),
      Chosen(2, txn::EncodeOutcome({Sequence{300}, "reply"})),
      Chosen(3, txn::EncodeCountRecord({&change, 1})),
      Chosen(3, txn::CountRecordKey(Sequence{5})),
      Chosen(3, txn::EncodeOutcomeTotals({1000, Uuid{1, 2}})),
      Chosen(4, AnEntry()),
      Chosen(5, session::SerializeDatabaseList({{"default", {"default", "/d", Uuid{1, 2}}}})),
      Chosen(6, rocksdb_storage::EncodeFormat({Uuid{1, 2}, {}, "sopd 0.1.0"})),
  };
}

void RunInput(std::string_view input) {
  InputReader reader(input);
  switch (reader.Byte() % 7) {
    case 0:
      return ReadRecord(reader.rest());
    case 1:
      return ReadRecord(WithChecksum(reader.rest(), 8));
    case 2:
      return ReadOutcome(reader.rest());
    case 3:
      return ReadRows(reader.rest());
    case 4:
      return ReadEntry(reader.rest());
    case 5:
      return ReadList(reader.rest());
    default:
      ReadFormat(reader.rest());
      return ReadFormat(WithChecksum(reader.rest(), 8));
  }
}

}  // namespace sop::fuzz
