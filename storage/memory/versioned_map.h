#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "core/base/ids.h"

namespace sop::memory {

// An ordered map whose every entry keeps the versions that snapshots may still read.
//
// 1. The versions of a key have ascending sequences; the newest stays unless it is a removal that
//    every snapshot sees. What no snapshot sees is forgotten at the key's next change.
// 2. A reader at S sees the newest version that is not newer than S.
// Thread-compatible.
template <typename Key>
class VersionedMap {
 public:
  // Shared, so that a reader may hold bytes while the map goes on; absent means removed.
  using Bytes = std::shared_ptr<const std::string>;

  // Sequences that live snapshots are at.
  using Readers = std::multiset<Sequence>;

  // The bytes of `key` at `at`, or null.
  Bytes Get(const Key& key, Sequence at) const {
    const auto entry = entries_.find(key);
    return entry == entries_.end() ? nullptr : At(entry->second, at);
  }

  // Adds the version of `sequence`, null for a removal, and forgets the versions that neither
  // `readers` nor later readers can see.
  void Set(const Key& key, Sequence sequence, Bytes bytes, const Readers& readers) {
    Versions& versions = entries_[key];
    versions.insert_or_assign(sequence, std::move(bytes));
    Forget(&versions, readers);
    if (versions.size() == 1 && versions.begin()->second == nullptr) entries_.erase(key);
  }

  // Sets every key of [begin, end) that is not removed already to removed.
  void RemoveRange(const Key& begin, const Key& end, Sequence sequence, const Readers& readers) {
    for (auto entry = entries_.lower_bound(begin); entry != entries_.end() && entry->first < end;) {
      const auto current = entry++;
      if (current->second.rbegin()->second != nullptr) {
        Set(Key(current->first), sequence, nullptr, readers);
      }
    }
  }

  // Visits what `at` sees from `begin` on, in key order, until `visit` returns false.
  void Scan(const Key& begin, Sequence at,
            absl::FunctionRef<bool(const Key&, const std::string&)> visit) const {
    for (auto entry = entries_.lower_bound(begin); entry != entries_.end(); ++entry) {
      const Bytes bytes = At(entry->second, at);
      if (bytes != nullptr && !visit(entry->first, *bytes)) return;
    }
  }

  // Versions kept, for tests of what is forgotten.
  size_t VersionCount() const {
    size_t count = 0;
    for (const auto& entry : entries_) count += entry.second.size();
    return count;
  }

 private:
  using Versions = std::map<Sequence, Bytes>;

  static Bytes At(const Versions& versions, Sequence at) {
    auto version = versions.upper_bound(at);
    return version == versions.begin() ? nullptr : std::prev(version)->second;
  }

  static void Forget(Versions* versions, const Readers& readers) {
    for (auto version = versions->begin(); std::next(version) != versions->end();) {
      const auto successor = std::next(version);
      const auto reader = readers.lower_bound(version->first);
      const bool seen = reader != readers.end() && *reader < successor->first;
      version = seen ? successor : versions->erase(version);
    }
    // A removal in front says no more than the key's absence.
    while (versions->size() > 1 && versions->begin()->second == nullptr) {
      versions->erase(versions->begin());
    }
  }

  std::map<Key, Versions> entries_;
};

}  // namespace sop::memory
