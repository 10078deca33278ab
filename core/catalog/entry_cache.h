#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/string_map.h"
#include "core/catalog/store_entry.h"

namespace sop::catalog {

// Parsed catalog entries, so that opening a store in a short transaction parses nothing. An entry
// is shared because it is immutable: a change makes another one. Holds the newest version of each
// name that was asked for, up to a fixed number. Thread-safe.
class EntryCache {
 public:
  static constexpr size_t kMaxEntries = 10'000;

  // The entry that `bytes`, the catalog's item of that key and version, says. Errors of
  // ParseStoreEntry, with the store's name.
  absl::StatusOr<std::shared_ptr<const StoreEntry>> Parse(std::string_view key, Sequence version,
                                                          std::string_view bytes) SOP_EXCLUDES(mu_);

 private:
  struct Slot {
    Sequence version;
    std::shared_ptr<const StoreEntry> entry;
  };

  base::SharedMutex mu_;
  base::StringMap<Slot> entries_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::catalog
