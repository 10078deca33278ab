#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace sop::rocksdb_storage {

// SOP-TIMELINE: a number that a database gets whenever it is restored or repaired
// (docs/formats/folder.md), so that positions in the feeds of its earlier life are not taken for
// positions in this one.

std::string TimelinePath(const std::string& folder);
std::string EncodeTimeline(uint64_t timeline);
// DATA_LOSS (kDamaged).
absl::StatusOr<uint64_t> DecodeTimeline(const std::string& path, std::string_view bytes);
// Gives the folder a number that none had before. On OK it is on stable storage.
absl::Status WriteTimeline(const std::string& folder, rocksdb::Env& env, base::FileSystem& files);

}  // namespace sop::rocksdb_storage
