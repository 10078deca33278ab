#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "clients/cli/session/session.h"
#include "clients/cli/text/csv_reader.h"
#include "clients/cli/text/item_source.h"

namespace sop::cli {

// What the flags of `sop import` say of its input.
struct InputFlags {
  // "-" is stdin.
  std::string path;
  // Empty: told from the name and the first bytes.
  std::string format;
  std::string separator;
  std::string quote = "\"";
  // --columns or --key was given: the input has columns.
  bool has_columns = false;
};

// A file that can be read more than once; what comes from a pipe is put into a temporary file
// first. Confined to its owner.
class ImportInput {
 public:
  // Usage errors name the file or the flag that is wrong.
  static absl::StatusOr<std::unique_ptr<ImportInput>> Open(const Session& session,
                                                           const InputFlags& flags);

  // Begins again at the first byte.
  std::istream& Rewind();
  InputFormat format() const { return format_; }
  CsvDialect dialect() const { return dialect_; }
  uint64_t size_bytes() const { return size_bytes_; }
  // The whole path of a file that will be there again; empty for what came from a pipe.
  const std::string& lasting_path() const { return lasting_path_; }
  // A checksum of the last bytes before `end`. Reads apart from the stream.
  uint64_t DigestBefore(uint64_t end);
  // The first line.
  const std::string& first_line() const { return first_line_; }

 private:
  ImportInput() = default;

  absl::Status OpenFile(const std::string& path);
  absl::Status Spool(std::istream& from);
  absl::Status ChooseFormat(const InputFlags& flags);
  absl::Status ChooseDialect(const InputFlags& flags);

  std::ifstream file_;
  // The same file, for digests.
  std::ifstream probe_;
  std::string lasting_path_;
  uint64_t size_bytes_ = 0;
  std::string first_line_;
  InputFormat format_ = InputFormat::kCsv;
  CsvDialect dialect_;
};

}  // namespace sop::cli
