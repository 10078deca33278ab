#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "clients/cli/text/json.h"

namespace sop::cli {

// stdout, or a file that is complete or not there under its name. Until it is complete its bytes
// are in FILE.partial, and FILE.partial.state says how many of them are whole rows and what was
// the last of them, so that another run can go on. Confined to its owner.
class ExportFile {
 public:
  // What is known of an export that was not finished.
  struct Unfinished {
    // Of FILE.partial, that are whole rows.
    uint64_t size_bytes = 0;
    // As the export recorded it.
    Json state;
  };

  // Empty or "-": stdout. Usage errors name the file.
  static absl::StatusOr<std::unique_ptr<ExportFile>> Open(const std::string& path);
  // Goes on behind the whole rows of `unfinished`.
  static absl::StatusOr<std::unique_ptr<ExportFile>> Resume(const std::string& path,
                                                            const Unfinished& unfinished);
  // Nothing if there is none that can be gone on with.
  static std::optional<Unfinished> FindUnfinished(const std::string& path);

  // What was not finished stays for another run.
  ~ExportFile();
  ExportFile(const ExportFile&) = delete;
  ExportFile& operator=(const ExportFile&) = delete;

  absl::Status Write(std::string_view rows);
  // Whether enough was written since the last state for another one.
  bool WantsState() const;
  // What was written so far is whole rows, and `state` is what goes on behind them. On stable
  // storage when it returns.
  absl::Status SaveState(const Json& state);
  // The file is complete and has its name; of its state nothing remains.
  absl::Status Close();

 private:
  ExportFile(std::FILE* file, std::string path, uint64_t size_bytes)
      : file_(file), path_(std::move(path)), size_bytes_(size_bytes) {}

  absl::Status CannotWrite() const;

  std::FILE* file_;
  const std::string path_;
  uint64_t size_bytes_;
  uint64_t saved_size_bytes_ = 0;
  absl::Time saved_at_ = absl::InfinitePast();
};

}  // namespace sop::cli
