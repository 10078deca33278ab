#include "storage/rocksdb/upkeep/reclaimer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/write_batch.h>

#include "core/base/bytes.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/open_database.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {
namespace {

constexpr std::string_view kDroppedPrefix{"\0drop", 5};
// Freed values are looked for when there are so many, and a quarter of all.
constexpr uint64_t kLeastFreedValues = 256;
constexpr uint64_t kFreedShare = 4;
constexpr uint64_t kManyFreedValues = uint64_t{1} << 62;
// Blob files are written anew when so much of them, and a quarter, is garbage.
constexpr uint64_t kGarbageShare = 4;
constexpr uint64_t kLeastGarbageBytes = uint64_t{1} << 20;

}  // namespace

std::string DroppedTreeKey(TreeId tree) {
  std::string key(kDroppedPrefix);
  base::AppendBigEndian32(&key, tree.value);
  return key;
}

absl::Status Reclaimer::Start() {
  const std::unique_ptr<rocksdb::Iterator> rows(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.family(Family::kMeta)));
  const base::MutexLock lock(mu_);
  for (rows->Seek(ToSlice(kDroppedPrefix)); rows->Valid(); rows->Next()) {
    const std::string_view key = View(rows->key());
    if (!key.starts_with(kDroppedPrefix)) break;
    if (key.size() != kDroppedPrefix.size() + 4) continue;
    pending_.push_back({TreeId{base::LoadBig32(key.data() + kDroppedPrefix.size())}, 0});
  }
  if (rows->status().ok()) return absl::OkStatus();
  return FromRocksDb(rows->status(), "read which trees were dropped");
}

void Reclaimer::Written(std::span<const TreeId> trees,
                        std::span<const persistence::ValueChange> values) {
  const uint64_t at = database_.db().GetLatestSequenceNumber();
  const base::MutexLock lock(mu_);
  for (const TreeId tree : trees) pending_.push_back({tree, at});
  uint64_t staged = 0;  // under which the last piece was
  for (const persistence::ValueChange& change : values) {
    if (change.value.has_value()) continue;
    freed_at_ = at;
    const uint64_t id = StagedIdOf(change.value_id);
    const bool goes_on = id != 0 && id == std::exchange(staged, id);
    if (goes_on) {
      freed_pieces_.back().last = change.value_id;
      continue;
    }
    ++freed_values_;
    if (id != 0) freed_pieces_.push_back({change.tree, change.value_id, change.value_id, at});
  }
}

void Reclaimer::FeedTrimmed(std::string end) {
  const base::MutexLock lock(mu_);
  feed_trimmed_ = std::move(end);
}

absl::Status Reclaimer::DropFeedFiles() {
  std::string end;
  {
    const base::MutexLock lock(mu_);
    end.swap(feed_trimmed_);
  }
  if (end.empty()) return absl::OkStatus();
  SOP_RETURN_IF_ERROR(SyncLog());
  const rocksdb::Slice last = end;
  const rocksdb::RangePtr range(nullptr, &last);
  const rocksdb::Status dropped = rocksdb::DeleteFilesInRanges(
      &database_.db(), database_.family(Family::kFeed), &range, 1, /*include_end=*/false);
  if (dropped.ok()) return absl::OkStatus();
  return FromRocksDb(dropped, fmt::format("drop feed files of {}", database_.folder().path()));
}

uint64_t Reclaimer::pending_trees() const {
  const base::MutexLock lock(mu_);
  return pending_.size();
}

uint64_t Reclaimer::reclaimed_trees() const {
  const base::MutexLock lock(mu_);
  return reclaimed_;
}

uint64_t Reclaimer::Property(Family family, const std::string& name) const {
  uint64_t value = 0;
  database_.db().GetIntProperty(database_.family(family), name, &value);
  return value;
}

uint64_t Reclaimer::OldestSnapshot() const {
  return Property(Family::kNodes, rocksdb::DB::Properties::kOldestSnapshotSequence);
}

bool Reclaimer::HasWork() const {
  const base::MutexLock lock(mu_);
  if (freed_values_ >= kLeastFreedValues || !feed_trimmed_.empty()) return true;
  if (pending_.empty() && freed_pieces_.empty()) return false;
  const uint64_t oldest = OldestSnapshot();
  const auto unseen = [oldest](const auto& gone) { return oldest == 0 || oldest >= gone.at; };
  return std::any_of(pending_.begin(), pending_.end(), unseen) ||
         std::any_of(freed_pieces_.begin(), freed_pieces_.end(), unseen);
}

absl::Status Reclaimer::DropFilesOfValues() {
  const uint64_t oldest = OldestSnapshot();
  std::vector<FreedPieces> unseen;
  {
    const base::MutexLock lock(mu_);
    std::erase_if(freed_pieces_, [&](const FreedPieces& pieces) {
      if (oldest != 0 && oldest < pieces.at) return false;
      unseen.push_back(pieces);
      return true;
    });
  }
  if (!unseen.empty()) SOP_RETURN_IF_ERROR(SyncLog());
  for (const FreedPieces& pieces : unseen) {
    const std::string first = ItemKey(pieces.tree, pieces.first.value);
    const std::string last = ItemKey(pieces.tree, pieces.last.value);
    const rocksdb::Slice begin = first;
    const rocksdb::Slice end = last;
    const rocksdb::Status dropped = rocksdb::DeleteFilesInRange(
        &database_.db(), database_.family(Family::kBlobs), &begin, &end, /*include_end=*/true);
    if (!dropped.ok()) {
      return FromRocksDb(dropped,
                         fmt::format("drop files of values of tree {}", pieces.tree.value));
    }
  }
  return absl::OkStatus();
}

std::vector<Reclaimer::Dropped> Reclaimer::TakeUnseen() {
  const uint64_t oldest = OldestSnapshot();
  const base::MutexLock lock(mu_);
  std::vector<Dropped> unseen;
  const auto seen = [oldest](const Dropped& tree) { return oldest != 0 && oldest < tree.at; };
  std::copy_if(pending_.begin(), pending_.end(), std::back_inserter(unseen), std::not_fn(seen));
  std::erase_if(pending_, std::not_fn(seen));
  return unseen;
}

absl::Status Reclaimer::Run() {
  {
    const base::MutexLock lock(mu_);
    if (pending_.empty() && freed_pieces_.empty() && freed_values_ < kLeastFreedValues &&
        feed_trimmed_.empty()) {
      return absl::OkStatus();
    }
  }
  if (!running_.TryLock()) return absl::OkStatus();
  absl::Status status = DropFeedFiles();
  if (status.ok()) status = DropFilesOfValues();
  const std::vector<Dropped> unseen = TakeUnseen();
  const absl::Status synced = unseen.empty() ? absl::OkStatus() : SyncLog();
  for (const Dropped& tree : unseen) {
    const absl::Status reclaimed = synced.ok() ? Reclaim(tree.tree) : synced;
    if (status.ok()) status = reclaimed;
    const base::MutexLock lock(mu_);
    if (reclaimed.ok()) ++reclaimed_;
  }
  if (status.ok()) status = CompactValues();
  running_.Unlock();
  return status;
}

// Files go at once: a commit that was not synced, and that a power cut takes back, may be what
// freed them.
absl::Status Reclaimer::SyncLog() {
  const rocksdb::Status synced = database_.db().SyncWAL();
  if (synced.ok()) return absl::OkStatus();
  return database_.health().Fail(synced);
}

absl::Status Reclaimer::Compact(const rocksdb::CompactRangeOptions& options, Family family,
                                const rocksdb::Slice* begin, const rocksdb::Slice* end) {
  const rocksdb::Status compacted =
      database_.db().CompactRange(options, database_.family(family), begin, end);
  if (compacted.ok()) return absl::OkStatus();
  return FromRocksDb(compacted, fmt::format("reclaim space of {}", database_.folder().path()));
}

absl::Status Reclaimer::Reclaim(TreeId tree) {
  const std::string begin = TreeKey(tree);
  const std::string end = TreeKey(TreeId{tree.value + 1});
  const rocksdb::Slice first = begin;
  const rocksdb::Slice last = end;
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (const Family family : {Family::kNodes, Family::kBlobs}) {
    const rocksdb::RangePtr range(&first, &last);
    const rocksdb::Status deleted = rocksdb::DeleteFilesInRanges(
        &database_.db(), database_.family(family), &range, 1, /*include_end=*/false);
    if (!deleted.ok())
      return FromRocksDb(deleted, fmt::format("drop files of tree {}", tree.value));
    SOP_RETURN_IF_ERROR(Compact(options, family, &first, &last));
  }
  rocksdb::WriteBatch batch;
  rocksdb::Status forgotten = batch.Delete(database_.family(Family::kMeta), DroppedTreeKey(tree));
  if (forgotten.ok()) forgotten = database_.Write(rocksdb::WriteOptions(), &batch);
  if (!forgotten.ok()) return database_.health().Fail(forgotten);
  const base::MutexLock lock(mu_);
  // Its values were freed with it; how many is not known.
  freed_values_ = std::max(freed_values_, kManyFreedValues);
  return absl::OkStatus();
}

absl::Status Reclaimer::CompactValues() {
  const uint64_t oldest = OldestSnapshot();
  const uint64_t values = Property(Family::kBlobs, rocksdb::DB::Properties::kEstimateNumKeys);
  {
    const base::MutexLock lock(mu_);
    const bool many = freed_values_ >= kLeastFreedValues && freed_values_ >= values / kFreedShare;
    if (!many || (oldest != 0 && oldest < freed_at_)) return absl::OkStatus();
    freed_values_ = 0;
  }
  // Keys first: only then RocksDB knows what of its blob files is garbage.
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  SOP_RETURN_IF_ERROR(Compact(options, Family::kBlobs, nullptr, nullptr));
  const uint64_t live = Property(Family::kBlobs, rocksdb::DB::Properties::kLiveBlobFileSize);
  const uint64_t garbage =
      Property(Family::kBlobs, rocksdb::DB::Properties::kLiveBlobFileGarbageSize);
  if (garbage < kLeastGarbageBytes || garbage < live / kGarbageShare) return absl::OkStatus();
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.blob_garbage_collection_policy = rocksdb::BlobGarbageCollectionPolicy::kForce;
  options.blob_garbage_collection_age_cutoff = 1.0;
  return Compact(options, Family::kBlobs, nullptr, nullptr);
}

}  // namespace sop::rocksdb_storage
