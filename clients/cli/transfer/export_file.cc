#include "clients/cli/transfer/export_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"
#include "clients/cli/session/failure.h"
#include "clients/cli/text/item_json.h"
#include "core/base/error.h"

namespace sop::cli {

namespace {

constexpr uint64_t kStateSizeBytes = 8 << 20;
constexpr absl::Duration kStateInterval = absl::Seconds(1);
constexpr char kSizeMember[] = "size_bytes";
constexpr char kStateMember[] = "state";

std::string PartialOf(const std::string& path) { return path + ".partial"; }
std::string StateOf(const std::string& path) { return path + ".partial.state"; }

absl::Status CannotWriteTo(const std::string& path) {
  return UsageError(fmt::format("file \"{}\" cannot be written", PrintableLine(path)));
}

// In place of the one there was, whole or not at all.
bool Replace(const std::string& path, const std::string& content) {
  const std::string fresh = path + ".next";
  std::FILE* file = std::fopen(fresh.c_str(), "wb");
  if (file == nullptr) {
    return false;
  }
  const bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size() &&
                       std::fflush(file) == 0 && fdatasync(fileno(file)) == 0;
  return std::fclose(file) == 0 && written && std::rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExportFile>> ExportFile::Open(const std::string& path) {
  if (path.empty() || path == "-") {
    return std::unique_ptr<ExportFile>(new ExportFile(stdout, "", 0));
  }
  // What another export left goes first: its state does not fit the rows of this one.
  std::error_code error;
  std::filesystem::remove(StateOf(path), error);
  std::FILE* file = std::fopen(PartialOf(path).c_str(), "wb");
  if (file == nullptr) {
    return CannotWriteTo(path);
  }
  return std::unique_ptr<ExportFile>(new ExportFile(file, path, 0));
}

absl::StatusOr<std::unique_ptr<ExportFile>> ExportFile::Resume(const std::string& path,
                                                               const Unfinished& unfinished) {
  std::error_code error;
  std::filesystem::resize_file(PartialOf(path), unfinished.size_bytes, error);
  std::FILE* file = error ? nullptr : std::fopen(PartialOf(path).c_str(), "ab");
  if (file == nullptr) {
    return CannotWriteTo(path);
  }
  return std::unique_ptr<ExportFile>(new ExportFile(file, path, unfinished.size_bytes));
}

std::optional<ExportFile::Unfinished> ExportFile::FindUnfinished(const std::string& path) {
  std::ifstream stream(StateOf(path), std::ios::binary);
  const std::optional<Json> saved =
      ParseJson(std::string(std::istreambuf_iterator<char>(stream), {}));
  if (!saved || !saved->is_object() || !saved->contains(kStateMember)) {
    return std::nullopt;
  }
  std::error_code error;
  const uint64_t there = std::filesystem::file_size(PartialOf(path), error);
  const auto size = saved->find(kSizeMember);
  if (error || size == saved->end() || !size->is_number_unsigned() ||
      there < size->get<uint64_t>()) {
    return std::nullopt;
  }
  return Unfinished{size->get<uint64_t>(), (*saved)[kStateMember]};
}

ExportFile::~ExportFile() {
  if (file_ != nullptr && file_ != stdout) {
    std::fclose(file_);
  }
}

absl::Status ExportFile::CannotWrite() const {
  return Error(Reason::kUnavailable,
               path_.empty() ? "stdout takes no more"
                             : fmt::format("file \"{}\" cannot be written", PrintableLine(path_)));
}

absl::Status ExportFile::Write(std::string_view rows) {
  size_bytes_ += rows.size();
  return std::fwrite(rows.data(), 1, rows.size(), file_) == rows.size() ? absl::OkStatus()
                                                                        : CannotWrite();
}

bool ExportFile::WantsState() const {
  return file_ != stdout && (size_bytes_ - saved_size_bytes_ >= kStateSizeBytes ||
                             absl::Now() - saved_at_ >= kStateInterval);
}

absl::Status ExportFile::SaveState(const Json& state) {
  if (file_ == stdout) {
    return absl::OkStatus();
  }
  const Json saved = {{kSizeMember, size_bytes_}, {kStateMember, state}};
  // The rows before the state that speaks of them.
  if (std::fflush(file_) != 0 || fdatasync(fileno(file_)) != 0 ||
      !Replace(StateOf(path_), JsonText(saved))) {
    return CannotWrite();
  }
  saved_size_bytes_ = size_bytes_;
  saved_at_ = absl::Now();
  return absl::OkStatus();
}

absl::Status ExportFile::Close() {
  if (file_ == stdout) {
    return std::fflush(stdout) == 0 ? absl::OkStatus() : CannotWrite();
  }
  bool good = std::fflush(file_) == 0 && fdatasync(fileno(file_)) == 0;
  good = std::fclose(std::exchange(file_, nullptr)) == 0 && good;
  if (!good || std::rename(PartialOf(path_).c_str(), path_.c_str()) != 0) {
    return CannotWrite();
  }
  std::error_code error;
  std::filesystem::remove(StateOf(path_), error);
  return absl::OkStatus();
}

}  // namespace sop::cli
