#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"

namespace sop::txn {

// Files in memory that fail when told to: for tests of what spills. Confined to one thread.
class FaultyFileSystem : public base::FileSystem {
 public:
  // From now on every `period`-th operation fails; 0 for none.
  void FailEvery(uint64_t period) {
    period_ = period;
    operations_ = 0;
  }
  uint64_t faults() const { return faults_; }

  // Contents by path.
  std::map<std::string, std::shared_ptr<std::string>>& files() { return files_; }

  absl::StatusOr<std::unique_ptr<base::AppendFile>> OpenForAppend(
      const std::string& path) override {
    SOP_RETURN_IF_ERROR(Operate(path));
    auto content = std::make_shared<std::string>();
    files_[path] = content;
    return std::make_unique<OpenAppendFile>(*this, path, std::move(content));
  }
  absl::StatusOr<std::unique_ptr<base::ReadFile>> OpenForRead(const std::string& path) override {
    SOP_RETURN_IF_ERROR(Operate(path));
    const auto at = files_.find(path);
    if (at == files_.end()) return absl::NotFoundError("no such file");
    return std::make_unique<OpenReadFile>(*this, path, at->second);
  }
  absl::Status WriteDurably(const std::string& path, std::string_view bytes) override {
    files_[path] = std::make_shared<std::string>(bytes);
    return absl::OkStatus();
  }
  absl::Status MakeFolders(const std::string& path) override { return Operate(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& folder) override {
    std::vector<std::string> names;
    for (const auto& [path, content] : files_) {
      if (path.starts_with(folder + "/")) names.push_back(path.substr(folder.size() + 1));
    }
    return names;
  }
  absl::Status Remove(const std::string& path) override {
    return files_.erase(path) == 1 ? absl::OkStatus() : absl::NotFoundError("no such file");
  }
  absl::Status RemoveRecursively(const std::string& folder) override {
    return absl::UnimplementedError("not used");
  }
  bool Exists(const std::string& path) override { return true; }
  absl::StatusOr<std::unique_ptr<base::FileLock>> Lock(const std::string& path) override {
    return absl::UnimplementedError("not used");
  }
  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override { return UINT64_MAX; }

 private:
  class OpenAppendFile : public base::AppendFile {
   public:
    OpenAppendFile(FaultyFileSystem& files, std::string path, std::shared_ptr<std::string> content)
        : files_(files), path_(std::move(path)), content_(std::move(content)) {}
    absl::Status Append(std::string_view bytes) override {
      if (absl::Status fault = files_.Operate(path_); !fault.ok()) {
        content_->append(bytes.substr(0, bytes.size() / 2));
        return fault;
      }
      content_->append(bytes);
      return absl::OkStatus();
    }
    absl::Status Sync() override { return files_.Operate(path_); }

   private:
    FaultyFileSystem& files_;
    const std::string path_;
    const std::shared_ptr<std::string> content_;
  };

  class OpenReadFile : public base::ReadFile {
   public:
    OpenReadFile(FaultyFileSystem& files, std::string path, std::shared_ptr<std::string> content)
        : files_(files), path_(std::move(path)), content_(std::move(content)) {}
    absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) const override {
      SOP_RETURN_IF_ERROR(files_.Operate(path_));
      if (offset + size > content_->size()) return absl::OutOfRangeError("file ends before");
      return content_->substr(offset, size);
    }
    absl::StatusOr<uint64_t> Size() const override {
      SOP_RETURN_IF_ERROR(files_.Operate(path_));
      return content_->size();
    }

   private:
    FaultyFileSystem& files_;
    const std::string path_;
    const std::shared_ptr<std::string> content_;
  };

  absl::Status Operate(const std::string& path) {
    if (period_ == 0 || ++operations_ % period_ != 0) return absl::OkStatus();
    ++faults_;
    return Error(Reason::kUnavailable, fmt::format("file {}: fault of the test", path));
  }

  std::map<std::string, std::shared_ptr<std::string>> files_;
  uint64_t period_ = 0;
  uint64_t operations_ = 0;
  uint64_t faults_ = 0;
};

}  // namespace sop::txn
