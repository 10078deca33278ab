#include "clients/cli/transfer/import_input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <vector>

#include "clients/cli/session/failure.h"
#include "clients/cli/text/export_csv.h"
#include "clients/cli/text/item_json.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

constexpr std::string_view kExportMark = "{\"sop_export\":";
constexpr size_t kFirstLineSizeBytes = 1 << 20;
constexpr uint64_t kDigestedSizeBytes = 64 << 10;

bool HasEnding(const std::string& path, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (path.ends_with(ending)) {
      return true;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImportInput>> ImportInput::Open(const Session& session,
                                                               const InputFlags& flags) {
  std::unique_ptr<ImportInput> input(new ImportInput());
  if (flags.path == "-") {
    SOP_RETURN_IF_ERROR(session.MayReadStdin());
    SOP_RETURN_IF_ERROR(input->Spool(std::cin));
  } else {
    SOP_RETURN_IF_ERROR(input->OpenFile(flags.path));
  }
  input->first_line_.resize(kFirstLineSizeBytes);
  input->Rewind().read(input->first_line_.data(), kFirstLineSizeBytes);
  input->first_line_.resize(static_cast<size_t>(input->file_.gcount()));
  input->first_line_.resize(std::min(input->first_line_.find('\n'), input->first_line_.size()));
  SOP_RETURN_IF_ERROR(input->ChooseFormat(flags));
  SOP_RETURN_IF_ERROR(input->ChooseDialect(flags));
  return input;
}

std::istream& ImportInput::Rewind() {
  file_.clear();
  file_.seekg(0);
  return file_;
}

absl::Status ImportInput::OpenFile(const std::string& path) {
  std::error_code error;
  file_.open(path, std::ios::binary);
  if (!file_ || std::filesystem::is_directory(path, error)) {
    return UsageError(fmt::format("file \"{}\" cannot be read", PrintableLine(path)));
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    std::ifstream pipe = std::move(file_);
    file_ = std::ifstream();
    return Spool(pipe);
  }
  size_bytes_ = std::filesystem::file_size(path, error);
  lasting_path_ = std::filesystem::canonical(path, error).string();
  probe_.open(path, std::ios::binary);
  return absl::OkStatus();
}

uint64_t ImportInput::DigestBefore(uint64_t end) {
  if (lasting_path_.empty()) {
    return 0;
  }
  std::string bytes(std::min<uint64_t>(end, kDigestedSizeBytes), '\0');
  probe_.clear();
  probe_.seekg(static_cast<std::streamoff>(end - bytes.size()));
  probe_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return base::Checksum64(bytes);
}

absl::Status ImportInput::Spool(std::istream& from) {
  std::string path = (std::filesystem::temp_directory_path() / "sop-import-XXXXXX").string();
  const int descriptor = mkstemp(path.data());
  if (descriptor < 0) {
    return Error(Reason::kUnavailable, "no temporary file can be made");
  }
  close(descriptor);
  std::ofstream spool(path, std::ios::binary);
  if (from.peek() != std::istream::traits_type::eof()) {
    spool << from.rdbuf();
  }
  spool.close();
  file_.open(path, std::ios::binary);
  std::error_code error;
  size_bytes_ = std::filesystem::file_size(path, error);
  // The open file stays until it is closed.
  std::filesystem::remove(path, error);
  if (!spool || !file_) {
    return Error(Reason::kUnavailable, "the temporary file cannot be written");
  }
  return absl::OkStatus();
}

absl::Status ImportInput::ChooseFormat(const InputFlags& flags) {
  const bool is_export = first_line_.starts_with(kExportMark);
  if (IsExportCsv(first_line_) && (flags.format.empty() || flags.format == "csv")) {
    format_ = InputFormat::kExportCsv;
    return absl::OkStatus();
  }
  if (flags.format.empty()) {
    if (is_export) {
      format_ = InputFormat::kExport;
    } else if (!flags.separator.empty() || HasEnding(flags.path, {".csv", ".tsv"})) {
      format_ = InputFormat::kCsv;
    } else if (HasEnding(flags.path, {".jsonl", ".ndjson", ".json"}) ||
               first_line_.starts_with('{')) {
      format_ = InputFormat::kJsonLines;
    } else {
      format_ = flags.has_columns ? InputFormat::kCsv : InputFormat::kLines;
    }
    return absl::OkStatus();
  }
  if (flags.format == "csv") {
    format_ = InputFormat::kCsv;
  } else if (flags.format == "jsonl") {
    format_ = is_export ? InputFormat::kExport : InputFormat::kJsonLines;
  } else if (flags.format == "export") {
    format_ = InputFormat::kExport;
  } else {
    format_ = InputFormat::kLines;
  }
  return absl::OkStatus();
}

absl::Status ImportInput::ChooseDialect(const InputFlags& flags) {
  std::string separator = flags.separator;
  if (separator.empty()) {
    separator = flags.path.ends_with(".tsv") ? "\t" : ",";
  } else if (separator == "\\t" || separator == "tab") {
    separator = "\t";
  }
  if (separator.size() != 1 || separator == "\n" || separator == "\r") {
    return UsageError(
        fmt::format("--separator takes one byte, not \"{}\"", PrintableLine(flags.separator)));
  }
  if (flags.quote.size() > 1 || flags.quote == separator) {
    return UsageError("--quote takes one byte other than the separator, or nothing");
  }
  dialect_.separator = separator.front();
  dialect_.quote = flags.quote.empty() ? std::nullopt : std::optional(flags.quote.front());
  return absl::OkStatus();
}

}  // namespace sop::cli
