#pragma once

#include <string_view>

#include <rocksdb/status.h>

#include "absl/status/status.h"

namespace sop::rocksdb_storage {

// The failure of `action` ("open /data/x") in the engine's words: kDiskFull for a full disk,
// kDamaged for what does not verify or is missing, else kUnavailable. REQUIRES: !status.ok().
absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view action);

inline std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
inline rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }

}  // namespace sop::rocksdb_storage
