#include "storage/rocksdb/database_folder.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::rocksdb_storage {
namespace {

constexpr std::array<std::string_view, 10> kOurNames = {"SOP-FORMAT",   "SOP-FORMAT.unfinished",
                                                        "SOP-SEAL",     "SOP-SEAL.unfinished",
                                                        "SOP-TIMELINE", "SOP-TIMELINE.unfinished",
                                                        "LOCK",         "db",
                                                        "spill",        "staging"};
// What a repair puts aside and what it has not finished (upkeep/repair.h).
constexpr std::string_view kAsidePrefix = "db.";

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Whether RocksDB makes files of that name. Leftovers among them are its own to remove.
bool IsOfRocksDb(std::string_view name) {
  for (const std::string_view known : {"CURRENT", "IDENTITY", "LOCK", "LOG", "archive", "lost"}) {
    if (name == known) return true;
  }
  for (const std::string_view prefix : {"MANIFEST-", "OPTIONS-", "LOG.old"}) {
    if (name.starts_with(prefix)) return true;
  }
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos || !IsNumber(name.substr(0, dot))) return false;
  const std::string_view ending = name.substr(dot);
  return ending == ".log" || ending == ".sst" || ending == ".blob" || ending == ".dbtmp";
}

}  // namespace

absl::StatusOr<std::unique_ptr<DatabaseFolder>> DatabaseFolder::Enter(std::string path,
                                                                      base::FileSystem& files) {
  SOP_RETURN_IF_ERROR(files.MakeFolders(path));
  std::unique_ptr<DatabaseFolder> folder(new DatabaseFolder(std::move(path), files));
  SOP_ASSIGN_OR_RETURN(folder->lock_, files.Lock(folder->path_ + "/LOCK"));
  SOP_RETURN_IF_ERROR(folder->ReadFormat());
  SOP_RETURN_IF_ERROR(folder->ReadTimeline());
  // What a transaction spilled ended with the process that ran it.
  SOP_RETURN_IF_ERROR(files.RemoveRecursively(folder->spill_path()));
  SOP_RETURN_IF_ERROR(files.MakeFolders(folder->spill_path()));
  // What is not in the RocksDB yet was never sealed.
  SOP_RETURN_IF_ERROR(files.RemoveRecursively(folder->staging_path()));
  return folder;
}

absl::StatusOr<std::unique_ptr<DatabaseFolder>> DatabaseFolder::Look(std::string path,
                                                                     base::FileSystem& files) {
  std::unique_ptr<DatabaseFolder> folder(new DatabaseFolder(std::move(path), files));
  if (!files.Exists(folder->format_path()) && !files.Exists(folder->rocksdb_path())) {
    return Error(Reason::kDatabaseNotFound,
                 fmt::format("{} is no folder of a database", folder->path_));
  }
  SOP_ASSIGN_OR_RETURN(folder->lock_, files.Lock(folder->path_ + "/LOCK"));
  SOP_RETURN_IF_ERROR(folder->ReadFormat());
  SOP_RETURN_IF_ERROR(folder->ReadTimeline());
  return folder;
}

absl::StatusOr<std::optional<Seal>> DatabaseFolder::ReadSeal() const {
  if (!files_.Exists(seal_path())) return std::nullopt;
  SOP_ASSIGN_OR_RETURN(const auto file, files_.OpenForRead(seal_path()));
  SOP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  SOP_ASSIGN_OR_RETURN(const std::string bytes, file->ReadAt(0, size));
  SOP_ASSIGN_OR_RETURN(Seal seal, DecodeSeal(seal_path(), bytes));
  return seal;
}

absl::Status DatabaseFolder::WriteSeal(const Seal& seal) {
  return files_.WriteDurably(seal_path(), EncodeSeal(seal));
}

absl::Status DatabaseFolder::ReadFormat() {
  if (!files_.Exists(format_path())) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(const auto file, files_.OpenForRead(format_path()));
  SOP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  SOP_ASSIGN_OR_RETURN(const std::string bytes, file->ReadAt(0, size));
  SOP_ASSIGN_OR_RETURN(format_, DecodeFormat(format_path(), bytes));
  return absl::OkStatus();
}

absl::Status DatabaseFolder::ReadTimeline() {
  const std::string path = TimelinePath(path_);
  if (!files_.Exists(path)) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(const auto file, files_.OpenForRead(path));
  SOP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  SOP_ASSIGN_OR_RETURN(const std::string bytes, file->ReadAt(0, size));
  SOP_ASSIGN_OR_RETURN(timeline_, DecodeTimeline(path, bytes));
  return absl::OkStatus();
}

absl::Status DatabaseFolder::WriteFormat(const DatabaseFormat& format) {
  SOP_RETURN_IF_ERROR(files_.WriteDurably(format_path(), EncodeFormat(format)));
  format_ = format;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> DatabaseFolder::Strangers() const {
  SOP_ASSIGN_OR_RETURN(std::vector<std::string> names, files_.List(path_));
  std::erase_if(names, [](const std::string& name) {
    return name.starts_with(kAsidePrefix) ||
           std::find(kOurNames.begin(), kOurNames.end(), name) != kOurNames.end();
  });
  if (!files_.Exists(rocksdb_path())) return names;
  SOP_ASSIGN_OR_RETURN(const std::vector<std::string> inner, files_.List(rocksdb_path()));
  for (const std::string& name : inner) {
    if (!IsOfRocksDb(name)) names.push_back("db/" + name);
  }
  return names;
}

}  // namespace sop::rocksdb_storage
