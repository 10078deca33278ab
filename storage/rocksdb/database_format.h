#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"

namespace sop::rocksdb_storage {

// Something about a folder that a release without knowledge of it would misread.
struct FormatFlag {
  std::string name;     // such as "ingested-values"
  std::string release;  // the first that can open the folder

  friend bool operator==(const FormatFlag&, const FormatFlag&) = default;
};

// What the file SOP-FORMAT of a database folder says (docs/formats/folder.md).
struct DatabaseFormat {
  Uuid database_id;
  std::vector<FormatFlag> flags;
  std::string creator;  // program and release that made the folder

  friend bool operator==(const DatabaseFormat&, const DatabaseFormat&) = default;
};

// The release that this source becomes.
inline constexpr std::string_view kRelease = "0.1.0";

// The features that this release knows and turns on in folders that it makes: none so far.
std::vector<FormatFlag> KnownFlags();

std::string EncodeFormat(const DatabaseFormat& format);

// `path` is for messages only. DATA_LOSS (kDamaged): these are not bytes that EncodeFormat of any
// release made. FAILED_PRECONDITION (kFormatNotSupported): another release's format version or a
// flag that this release does not know; the message names flag and release.
absl::StatusOr<DatabaseFormat> DecodeFormat(std::string_view path, std::string_view bytes);

}  // namespace sop::rocksdb_storage
