#include "storage/rocksdb/database_folder.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/status_macros.h"

namespace sop::rocksdb_storage {
namespace {

constexpr std::array<std::string_view, 5> kOurNames = {"SOP-FORMAT", "SOP-FORMAT.unfinished",
                                                       "LOCK", "db", "spill"};

}  // namespace

absl::StatusOr<std::unique_ptr<DatabaseFolder>> DatabaseFolder::Enter(std::string path,
                                                                      base::FileSystem& files) {
  SOP_RETURN_IF_ERROR(files.MakeFolders(path));
  std::unique_ptr<DatabaseFolder> folder(new DatabaseFolder(std::move(path), files));
  SOP_ASSIGN_OR_RETURN(folder->lock_, files.Lock(folder->path_ + "/LOCK"));
  SOP_RETURN_IF_ERROR(folder->ReadFormat());
  // What a transaction spilled ended with the process that ran it.
  SOP_RETURN_IF_ERROR(files.RemoveRecursively(folder->spill_path()));
  SOP_RETURN_IF_ERROR(files.MakeFolders(folder->spill_path()));
  return folder;
}

absl::Status DatabaseFolder::ReadFormat() {
  if (!files_.Exists(format_path())) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(const auto file, files_.OpenForRead(format_path()));
  SOP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  SOP_ASSIGN_OR_RETURN(const std::string bytes, file->ReadAt(0, size));
  SOP_ASSIGN_OR_RETURN(format_, DecodeFormat(format_path(), bytes));
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
    return std::find(kOurNames.begin(), kOurNames.end(), name) != kOurNames.end();
  });
  return names;
}

}  // namespace sop::rocksdb_storage
