#include "storage/rocksdb/rocksdb_staged_nodes.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/write_batch.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/fault/fail_point.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {
namespace {

constexpr uint64_t kFileBytes = uint64_t{64} << 20;
// Space is claimed in steps of this size.
constexpr uint64_t kClaimBytes = uint64_t{4} << 20;
constexpr std::string_view kPendingBegin{"\0pending", 8};
constexpr std::string_view kPendingEnd{"\0pendinh", 8};
constexpr size_t kKeyBytes = 12;

// Whole files go at once, which gives their space back; what is left is hidden and compacted away.
absl::Status RemoveRanges(const OpenDatabase& database, const std::vector<StagedRange>& ranges,
                          std::string_view pending_key) {
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  for (const StagedRange& range : ranges) {
    const rocksdb::Slice first = ToSlice(range.first);
    const rocksdb::Slice last = ToSlice(range.last);
    if (status.ok()) {
      status =
          rocksdb::DeleteFilesInRange(&database.db(), database.family(range.family), &first, &last);
    }
    const std::string end = range.last + std::string(1, '\0');
    if (status.ok()) status = batch.DeleteRange(database.family(range.family), range.first, end);
  }
  if (status.ok()) status = batch.Delete(database.family(Family::kMeta), ToSlice(pending_key));
  // Unsynced: should it be lost, the row is still there for the next start.
  if (status.ok()) status = database.Write(rocksdb::WriteOptions(), &batch);
  if (status.ok()) return absl::OkStatus();
  return FromRocksDb(status, "remove staged nodes");
}

}  // namespace

std::string PendingKey(uint64_t id) {
  std::string key(kPendingBegin);
  base::AppendBigEndian64(&key, id);
  return key;
}

std::string EncodePending(const std::vector<StagedRange>& ranges) {
  std::string out;
  for (const StagedRange& range : ranges) {
    out.push_back(static_cast<char>(range.family));
    out.append(range.first).append(range.last);
  }
  return out;
}

absl::StatusOr<std::vector<StagedRange>> DecodePending(std::string_view bytes) {
  std::vector<StagedRange> ranges;
  constexpr size_t kRangeBytes = 1 + 2 * kKeyBytes;
  for (; bytes.size() >= kRangeBytes; bytes.remove_prefix(kRangeBytes)) {
    const auto family = static_cast<Family>(bytes[0]);
    if (family != Family::kNodes && family != Family::kBlobs) break;
    ranges.push_back({family, std::string(bytes.substr(1, kKeyBytes)),
                      std::string(bytes.substr(1 + kKeyBytes, kKeyBytes))});
    if (ranges.back().first > ranges.back().last) break;
  }
  if (bytes.empty()) return ranges;
  return Error(Reason::kDamaged, "row of pending nodes is damaged");
}

std::string EncodeStagedEnd(uint64_t end) {
  std::string row;
  base::AppendBigEndian64(&row, end);
  return row;
}

absl::StatusOr<uint64_t> ReadStagedEnd(const OpenDatabase& database) {
  SOP_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                       database.Get(rocksdb::ReadOptions(), Family::kMeta, kStagedEndKey));
  if (!row.has_value()) return 1;
  if (row->size() == sizeof(uint64_t)) {
    const uint64_t end = base::LoadBig64(row->data());
    if (end > 0 && end <= kMaxStagedId) return end;
  }
  return Error(Reason::kDamaged, "row of numbers for staged nodes is damaged");
}

absl::Status SweepPending(const OpenDatabase& database) {
  std::vector<std::pair<std::string, std::vector<StagedRange>>> pending;
  {
    const rocksdb::Slice end = ToSlice(kPendingEnd);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &end;
    const std::unique_ptr<rocksdb::Iterator> rows(
        database.db().NewIterator(options, database.family(Family::kMeta)));
    for (rows->Seek(ToSlice(kPendingBegin)); rows->Valid(); rows->Next()) {
      SOP_ASSIGN_OR_RETURN(auto ranges, DecodePending(View(rows->value())));
      pending.emplace_back(View(rows->key()), std::move(ranges));
    }
    if (!rows->status().ok()) return FromRocksDb(rows->status(), "read pending nodes");
  }
  for (const auto& [key, ranges] : pending) {
    SOP_RETURN_IF_ERROR(RemoveRanges(database, ranges, key));
  }
  return absl::OkStatus();
}

namespace {

// Whether some of the nodes and values have numbers that commits give out too.
bool HaveSerials(const std::vector<StagedRange>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [](const StagedRange& range) {
    const uint64_t number = base::LoadBig64(range.first.data() + sizeof(uint32_t));
    return StagedIdOf(Serial{number}) == 0;
  });
}

}  // namespace

RocksDbStagedNodes::RocksDbStagedNodes(std::shared_ptr<OpenDatabase> database,
                                       base::FileSystem& files, ClaimSpace claim,
                                       std::string folder, uint64_t id)
    : database_(std::move(database)),
      files_(files),
      claim_(std::move(claim)),
      folder_(std::move(folder)),
      id_(id) {}

RocksDbStagedNodes::~RocksDbStagedNodes() {
  nodes_.writer.reset();
  values_.writer.reset();
  // What cannot be removed now goes with the next start.
  if (folder_made_) files_.RemoveRecursively(folder_).IgnoreError();
  if (!row_written_) return;
  // After a failed write nobody knows whether the record is there: the next start does.
  if (!database_->health().CheckFailure().ok()) return;
  // The record that took them removed the row.
  const auto row = database_->Get(rocksdb::ReadOptions(), Family::kMeta, PendingKey(id_));
  if (row.ok() && !row->has_value()) return;
  const absl::Status removed =
      row.ok() ? RemoveRanges(*database_, ranges_, PendingKey(id_)) : row.status();
  if (removed.ok() || !HaveSerials(ranges_)) return;
  // The next start removes them: until then no other commit may give out these Serials.
  database_->health().Fail(rocksdb::Status::Aborted(removed.ToString())).IgnoreError();
}

absl::Status RocksDbStagedNodes::OpenFile(Family family, Output* output) {
  if (!folder_made_) SOP_RETURN_IF_ERROR(files_.MakeFolders(folder_));
  folder_made_ = true;
  rocksdb::ColumnFamilyHandle* const handle = database_->family(family);
  // What was just written is soon read: it stays in the page cache. No filters: the files go to the
  // last level.
  output->writer = std::make_unique<rocksdb::SstFileWriter>(
      rocksdb::EnvOptions(), database_->db().GetOptions(handle), handle,
      /*invalidate_page_cache=*/false, rocksdb::Env::IOPriority::IO_TOTAL, /*skip_filters=*/true);
  const char* const name = kFamilyNames[static_cast<size_t>(family)];
  output->files.push_back(fmt::format("{}/{}-{:04}.sst", folder_, name, output->files.size()));
  const rocksdb::Status status = output->writer->Open(output->files.back());
  if (status.ok()) return absl::OkStatus();
  return FromRocksDb(status, fmt::format("write {}", output->files.back()));
}

absl::Status RocksDbStagedNodes::EndFile(Output* output) {
  if (output->writer == nullptr) return absl::OkStatus();
  const rocksdb::Status status = output->writer->Finish();  // syncs
  output->writer.reset();
  output->bytes_in_file = 0;
  if (status.ok()) return absl::OkStatus();
  return FromRocksDb(status, fmt::format("write {}", output->files.back()));
}

absl::Status RocksDbStagedNodes::Put(Family family, std::string key, std::string_view value) {
  SOP_CHECK(!sealed_);
  Output& output = family == Family::kNodes ? nodes_ : values_;
  const uint64_t bytes = key.size() + value.size();
  if (claimed_bytes_ < bytes) {
    const uint64_t step = std::max(kClaimBytes, bytes);
    SOP_RETURN_IF_ERROR(claim_(step));
    claimed_bytes_ += step;
  }
  claimed_bytes_ -= bytes;
  if (output.bytes_in_file >= kFileBytes) SOP_RETURN_IF_ERROR(EndFile(&output));
  if (output.writer == nullptr) SOP_RETURN_IF_ERROR(OpenFile(family, &output));
  output.bytes_in_file += bytes;
  const rocksdb::Status status = output.writer->Put(ToSlice(key), ToSlice(value));
  if (!status.ok()) return FromRocksDb(status, fmt::format("write {}", output.files.back()));
  const std::string_view tree = std::string_view(key).substr(0, sizeof(uint32_t));
  if (output.ranges.empty() || !output.ranges.back().first.starts_with(tree)) {
    output.ranges.push_back({family, key, key});
  } else {
    output.ranges.back().last = std::move(key);
  }
  return absl::OkStatus();
}

absl::Status RocksDbStagedNodes::PutNode(TreeId tree, NodeId node, std::string_view image) {
  return Put(Family::kNodes, ItemKey(tree, node.value), image);
}

absl::Status RocksDbStagedNodes::PutValue(TreeId tree, Serial value_id, std::string_view value) {
  return Put(Family::kBlobs, ItemKey(tree, value_id.value), value);
}

absl::Status RocksDbStagedNodes::Seal() {
  SOP_CHECK(!sealed_);
  sealed_ = true;
  SOP_RETURN_IF_ERROR(EndFile(&nodes_));
  SOP_RETURN_IF_ERROR(EndFile(&values_));
  ranges_ = nodes_.ranges;
  ranges_.insert(ranges_.end(), values_.ranges.begin(), values_.ranges.end());
  SOP_RETURN_IF_ERROR(database_->health().Check());
  rocksdb::WriteOptions synced;
  synced.sync = true;
  rocksdb::WriteBatch batch;
  rocksdb::Status written =
      batch.Put(database_->family(Family::kMeta), PendingKey(id_), EncodePending(ranges_));
  if (written.ok()) written = database_->Write(synced, &batch);
  if (!written.ok()) return database_->health().Fail(written);
  row_written_ = true;
  base::FailPoint("stage.pending");
  return Ingest();
}

absl::Status RocksDbStagedNodes::Ingest() {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  // Nothing refers to the keys yet, so it does not matter which snapshots see them.
  options.snapshot_consistency = false;
  options.write_global_seqno = false;
  std::vector<rocksdb::IngestExternalFileArg> families;
  for (const auto& [family, output] :
       {std::pair{Family::kNodes, &nodes_}, {Family::kBlobs, &values_}}) {
    if (output->files.empty()) continue;
    rocksdb::IngestExternalFileArg& added = families.emplace_back();
    added.column_family = database_->family(family);
    added.external_files = output->files;
    added.options = options;
  }
  if (families.empty()) return absl::OkStatus();
  database_->file_list().BeginChange();
  const rocksdb::Status status = database_->db().IngestExternalFiles(families);
  database_->file_list().EndChange();
  if (!status.ok()) return FromRocksDb(status, fmt::format("ingest {}", folder_));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> RocksDbStagedNodes::ReadNode(TreeId tree,
                                                                        NodeId node) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // the committer reads each once
  return database_->Get(options, Family::kNodes, ItemKey(tree, node.value));
}

absl::StatusOr<std::optional<std::string>> RocksDbStagedNodes::ReadValue(TreeId tree,
                                                                         Serial value_id) const {
  return database_->Get(rocksdb::ReadOptions(), Family::kBlobs, ItemKey(tree, value_id.value));
}

}  // namespace sop::rocksdb_storage
