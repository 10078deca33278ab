#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/btree/key.h"
#include "core/catalog/ordered_scan.h"

namespace sop::catalog {

// What the pages of one reading have in common. A token goes with the scan that made it only.
struct PageTokenScope {
  std::string_view store;
  const btree::KeyRange& range;
  ScanDirection direction = ScanDirection::kForward;
};

// A position behind the item stored under `stored_key`: format byte, checksum of scope and key,
// key.
std::string EncodePageToken(const PageTokenScope& scope, std::string_view stored_key);

// The stored key, inside the scope's range. Total: INVALID_ARGUMENT for everything that
// EncodePageToken did not make for this scope.
absl::StatusOr<std::string> DecodePageToken(const PageTokenScope& scope, std::string_view token);

}  // namespace sop::catalog
