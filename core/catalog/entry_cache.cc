#include "core/catalog/entry_cache.h"

#include "core/base/error.h"

namespace sop::catalog {

absl::StatusOr<std::shared_ptr<const StoreEntry>> EntryCache::Parse(std::string_view key,
                                                                    Sequence version,
                                                                    std::string_view bytes) {
  {
    base::ReaderLock lock(mu_);
    const auto found = entries_.find(key);
    if (found != entries_.end() && found->second.version == version) return found->second.entry;
  }
  auto parsed = ParseStoreEntry(bytes);
  if (!parsed.ok()) return parsed.status();
  auto entry = std::make_shared<const StoreEntry>(*std::move(parsed));
  base::WriterLock lock(mu_);
  if (entries_.size() >= kMaxEntries) entries_.clear();
  Slot& slot = entries_[std::string(key)];
  // Readers of old snapshots do not push out what the others use.
  if (slot.entry == nullptr || slot.version < version) slot = Slot{version, entry};
  return entry;
}

}  // namespace sop::catalog
