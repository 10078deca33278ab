#include "storage/rocksdb/upkeep/repair.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/env.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/database_folder.h"
#include "storage/rocksdb/open_database.h"
#include "storage/rocksdb/rocksdb_staged_nodes.h"
#include "storage/rocksdb/rocksdb_status.h"
#include "storage/rocksdb/rocksdb_tuning.h"
#include "storage/rocksdb/upkeep/timeline.h"

namespace sop::rocksdb_storage {
namespace {

constexpr size_t kBatchBytes = size_t{4} << 20;
constexpr std::string_view kCreator = "sopd repair";

std::string Unfinished(const std::string& folder) { return folder + "/db.unfinished"; }
std::string Repaired(const std::string& folder) { return folder + "/db.repaired"; }

// The first name for damaged files that is free.
std::string AsidePath(const std::string& folder, base::FileSystem& files) {
  for (int number = 1;; ++number) {
    std::string path = fmt::format("{}/db.damaged-{}", folder, number);
    if (!files.Exists(path)) return path;
  }
}

absl::Status Rename(const std::string& from, const std::string& to, rocksdb::Env& env) {
  rocksdb::Status status = env.RenameFile(from, to);
  std::unique_ptr<rocksdb::Directory> parent;
  if (status.ok()) status = env.NewDirectory(to.substr(0, to.rfind('/')), &parent);
  if (status.ok()) status = parent->Fsync();
  if (status.ok()) return absl::OkStatus();
  return FromRocksDb(status, fmt::format("rename {} to {}", from, to));
}

// Copies the log, manifest and small files, which RocksDB changes, and links the tables.
absl::Status LinkFiles(const std::string& from, const std::string& to, rocksdb::Env& env,
                       base::FileSystem& files) {
  SOP_RETURN_IF_ERROR(files.MakeFolders(to));
  SOP_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(from));
  for (const std::string& name : names) {
    if (name.starts_with("LOG") || name == "LOCK") continue;
    const std::string source = fmt::format("{}/{}", from, name);
    const std::string target = fmt::format("{}/{}", to, name);
    const bool constant = name.ends_with(".sst") || name.ends_with(".blob");
    if (constant && env.LinkFile(source, target).ok()) continue;
    SOP_ASSIGN_OR_RETURN(const auto file, files.OpenForRead(source));
    SOP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    SOP_ASSIGN_OR_RETURN(const std::string bytes, file->ReadAt(0, size));
    SOP_RETURN_IF_ERROR(files.WriteDurably(target, bytes));
  }
  return absl::OkStatus();
}

// CURRENT only names the manifest: one that is lost is written anew.
absl::Status PointToManifest(const std::string& path, base::FileSystem& files) {
  const std::string current = path + "/CURRENT";
  SOP_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(path));
  std::string newest;
  for (const std::string& name : names) {
    if (name.starts_with("MANIFEST-")) newest = std::max(newest, name);
  }
  if (newest.empty()) return absl::OkStatus();
  return files.WriteDurably(current, newest + "\n");
}

// A family that has no tables is not found by RepairDB: opening once makes it.
absl::Status AddMissingFamilies(const std::string& path, const RocksDbEnvironment& environment,
                                persistence::ApplyFunction apply) {
  rocksdb::DBOptions options = TunedOptions(environment);
  options.paranoid_checks = false;
  options.create_missing_column_families = true;
  std::vector<rocksdb::ColumnFamilyDescriptor> described = TunedFamilies(environment, apply);
  for (auto& family : described) family.options.disable_auto_compactions = true;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, path, described, &families, &opened);
  if (!status.ok()) return FromRocksDb(status, fmt::format("open {}", path));
  const std::unique_ptr<rocksdb::DB> db(opened);
  for (auto* family : families) db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  db->Close().PermitUncheckedError();
  return absl::OkStatus();
}

// The identity that the rows of a RocksDB say.
absl::StatusOr<Uuid> ReadIdentity(const std::string& path, const RocksDbEnvironment& environment,
                                  persistence::ApplyFunction apply) {
  rocksdb::DBOptions options = TunedOptions(environment);
  options.paranoid_checks = false;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyDescriptor> described = TunedFamilies(environment, apply);
  described.resize(static_cast<size_t>(Family::kMeta) + 1);
  rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(options, path, described, &families, &opened);
  if (!status.ok()) return FromRocksDb(status, fmt::format("open {}", path));
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::string bytes;
  status = db->Get(rocksdb::ReadOptions(), families[static_cast<size_t>(Family::kMeta)],
                   ToSlice(kDatabaseIdKey), &bytes);
  for (auto* family : families) db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  if (!status.ok() || bytes.size() != 16) {
    return Error(Reason::kDamaged, fmt::format("{} has lost its identity", path));
  }
  return Uuid{base::LoadBig64(bytes.data()), base::LoadBig64(bytes.data() + 8)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<RepairedCopy>> RepairedCopy::Make(
    const std::string& folder, Uuid database_id, const RocksDbEnvironment& environment,
    base::FileSystem& files, persistence::ApplyFunction apply) {
  for (const std::string& left : {Unfinished(folder), Repaired(folder)}) {
    if (files.Exists(left)) SOP_RETURN_IF_ERROR(files.RemoveRecursively(left));
  }
  std::unique_ptr<RepairedCopy> copy(new RepairedCopy(folder, database_id, environment.env()));
  rocksdb::DBOptions options = TunedOptions(environment);
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(
      options, Unfinished(folder), TunedFamilies(environment, apply), &copy->families_, &db);
  SOP_RETURN_IF_ERROR(copy->Check(opened));
  copy->db_.reset(db);
  return copy;
}

RepairedCopy::~RepairedCopy() {
  if (db_ == nullptr) return;
  for (auto* family : families_) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
}

absl::Status RepairedCopy::Check(const rocksdb::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  return FromRocksDb(status, fmt::format("write {}", Unfinished(folder_)));
}

absl::Status RepairedCopy::AddNode(TreeId tree, NodeId node, std::string_view image) {
  SOP_RETURN_IF_ERROR(Check(batch_.Put(families_[static_cast<size_t>(Family::kNodes)],
                                       ItemKey(tree, node.value), ToSlice(image))));
  return Flush(kBatchBytes);
}

absl::Status RepairedCopy::AddValue(TreeId tree, Serial value_id, std::string_view value) {
  if (const uint64_t staged = StagedIdOf(value_id); staged != 0) {
    staged_end_ = std::max(staged_end_, staged + 1);
  }
  SOP_RETURN_IF_ERROR(Check(batch_.Put(families_[static_cast<size_t>(Family::kBlobs)],
                                       ItemKey(tree, value_id.value), ToSlice(value))));
  return Flush(kBatchBytes);
}

absl::Status RepairedCopy::AddRow(persistence::Space space, std::string_view key,
                                  std::string_view value) {
  SOP_RETURN_IF_ERROR(Check(
      batch_.Put(families_[static_cast<size_t>(FamilyOf(space))], RowKey(key), ToSlice(value))));
  return Flush(kBatchBytes);
}

absl::Status RepairedCopy::Flush(size_t least_bytes) {
  if (batch_.GetDataSize() < least_bytes) return absl::OkStatus();
  rocksdb::WriteOptions options;
  options.disableWAL = true;  // what is interrupted is made again
  const rocksdb::Status written = db_->Write(options, &batch_);
  batch_.Clear();
  return Check(written);
}

absl::Status RepairedCopy::Finish(Sequence tail) {
  rocksdb::ColumnFamilyHandle* const meta = families_[static_cast<size_t>(Family::kMeta)];
  std::string last;
  base::AppendBigEndian64(&last, tail.value);
  SOP_RETURN_IF_ERROR(Check(batch_.Put(meta, ToSlice(kTailKey), last)));
  SOP_RETURN_IF_ERROR(Check(batch_.Put(meta, ToSlice(kDatabaseIdKey), database_id_.Bytes())));
  SOP_RETURN_IF_ERROR(
      Check(batch_.Put(meta, ToSlice(kStagedEndKey), EncodeStagedEnd(staged_end_))));
  SOP_RETURN_IF_ERROR(Flush(0));
  SOP_RETURN_IF_ERROR(Check(db_->Flush(rocksdb::FlushOptions(), families_)));
  for (auto* family : families_) SOP_RETURN_IF_ERROR(Check(db_->DestroyColumnFamilyHandle(family)));
  families_.clear();
  SOP_RETURN_IF_ERROR(Check(db_->Close()));
  db_.reset();
  return Rename(Unfinished(folder_), Repaired(folder_), env_);
}

absl::StatusOr<std::string> ExchangeRepaired(const std::string& folder, rocksdb::Env& env,
                                             base::FileSystem& files) {
  const std::string current = folder + "/db";
  if (!files.Exists(Repaired(folder))) return std::string();
  SOP_ASSIGN_OR_RETURN(const auto lock, files.Lock(folder + "/LOCK"));
  std::string aside;
  if (files.Exists(current)) {
    aside = AsidePath(folder, files);
    SOP_RETURN_IF_ERROR(Rename(current, aside, env));
  }
  // Commits may be lost, and others get their sequences.
  SOP_RETURN_IF_ERROR(WriteTimeline(folder, env, files));
  // What the seal says is of the damaged files.
  SOP_RETURN_IF_ERROR(files.WriteDurably(folder + "/SOP-SEAL", EncodeSeal({})));
  SOP_RETURN_IF_ERROR(Rename(Repaired(folder), current, env));
  return aside;
}

absl::StatusOr<std::string> GatherTables(const std::string& folder,
                                         const RocksDbEnvironment& environment,
                                         base::FileSystem& files,
                                         persistence::ApplyFunction apply) {
  SOP_ASSIGN_OR_RETURN(const auto lock, files.Lock(folder + "/LOCK"));
  const std::string current = folder + "/db";
  const std::string work = Unfinished(folder);
  if (files.Exists(work)) SOP_RETURN_IF_ERROR(files.RemoveRecursively(work));
  SOP_RETURN_IF_ERROR(LinkFiles(current, work, environment.env(), files));
  SOP_RETURN_IF_ERROR(PointToManifest(work, files));
  auto database_id = ReadIdentity(work, environment, apply);
  if (!database_id.ok()) {
    const rocksdb::Status gathered =
        rocksdb::RepairDB(work, TunedOptions(environment), TunedFamilies(environment, apply));
    if (!gathered.ok()) {
      return FromRocksDb(gathered, fmt::format("gather the tables of {}", current));
    }
    SOP_RETURN_IF_ERROR(AddMissingFamilies(work, environment, apply));
    database_id = ReadIdentity(work, environment, apply);
  }
  SOP_RETURN_IF_ERROR(database_id.status());
  SOP_RETURN_IF_ERROR(WriteTimeline(folder, environment.env(), files));
  const std::string aside = AsidePath(folder, files);
  SOP_RETURN_IF_ERROR(Rename(current, aside, environment.env()));
  SOP_RETURN_IF_ERROR(files.WriteDurably(folder + "/SOP-SEAL", EncodeSeal({})));
  SOP_RETURN_IF_ERROR(Rename(work, current, environment.env()));
  if (!files.Exists(folder + "/SOP-FORMAT")) {
    const DatabaseFormat format{*database_id, {}, std::string(kCreator)};
    SOP_RETURN_IF_ERROR(files.WriteDurably(folder + "/SOP-FORMAT", EncodeFormat(format)));
  }
  return aside;
}

absl::StatusOr<std::vector<std::string>> UpgradeFormat(const std::string& folder,
                                                       base::FileSystem& files) {
  SOP_ASSIGN_OR_RETURN(const auto held, DatabaseFolder::Look(folder, files));
  if (!held->format().has_value()) {
    return Error(Reason::kDamaged, fmt::format("{}/SOP-FORMAT is missing", folder));
  }
  DatabaseFormat format = *held->format();
  std::vector<std::string> added;
  for (const FormatFlag& flag : KnownFlags()) {
    const bool there = std::any_of(format.flags.begin(), format.flags.end(),
                                   [&](const FormatFlag& own) { return own.name == flag.name; });
    if (there) continue;
    format.flags.push_back(flag);
    added.push_back(flag.name);
  }
  if (!added.empty()) SOP_RETURN_IF_ERROR(held->WriteFormat(format));
  return added;
}

}  // namespace sop::rocksdb_storage
