#include "core/txn/commit/conflict_window.h"

#include <algorithm>
#include <new>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/txn/arena.h"
#include "core/txn/key_slot.h"
#include "core/txn/overlay/key_filter.h"

namespace sop::txn {
namespace {

// One key that changed within one generation. Its bytes follow the struct.
struct Entry {
  std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_size}; }

  bool ChangedAfter(Sequence since, ReadMode mode) const {
    return (mode == ReadMode::kItem ? last_change : last_structural) > since;
  }

  Sequence last_change;
  Sequence last_structural;  // 0 if there was none in this generation
  // Neighbours in the order of last_change.
  Entry* older;
  Entry* newer;
  TreeId tree;
  uint32_t key_size;
};

using Slot = KeySlot<Entry>;
using Index = absl::btree_set<Slot, KeySlotLess<Entry>>;

// Room in the index for one entry: a slot of 16 bytes in nodes that are two thirds full.
constexpr size_t kSlotBytes = 24;
// A tree's own part of a generation: the index object, its map entry, the unused part of its nodes.
constexpr size_t kIndexBytes = 384;

// What a window has although there is no room for it.
constexpr size_t kSmallGenerationBytes = size_t{32} << 10;

// About what an entry takes with a key of 16 bytes: to size filters.
constexpr size_t kEntryBytes = sizeof(Entry) + 16 + kSlotBytes;

// A key as all generations are asked for it.
struct HashedKey {
  HashedKey(TreeId tree, std::string_view key)
      : probe(key), hash(base::Checksum64(key) + tree.value * 0x9e3779b97f4a7c15ULL) {}

  KeyProbe probe;
  uint64_t hash;
};

bool InRange(std::string_view key, std::string_view begin, std::string_view end) {
  return key >= begin && (end.empty() || key < end);
}

}  // namespace

// The changes of an interval of sequences, one entry for each key. Confined to the committer.
class ConflictWindow::Generation {
 public:
  // `share_bytes`: what the generation may grow to.
  explicit Generation(size_t share_bytes) : filter_(share_bytes / kEntryBytes) {}

  void Add(TreeId tree, const HashedKey& hashed, Sequence sequence, ChangeKind kind) {
    const auto& [probe, hash] = hashed;
    Index& index = IndexOf(tree);
    const auto at = index.lower_bound(probe);
    Entry* entry;
    if (at != index.end() && at->head == probe.head && at->entry->key() == probe.key) {
      entry = at->entry;
      Unlink(entry);
    } else {
      entry = MakeEntry(tree, probe.key);
      index.insert(at, Slot{probe.head, entry});
      filter_.Add(hash);
      ++entry_count_;
    }
    entry->last_change = sequence;
    if (kind == ChangeKind::kStructural) entry->last_structural = sequence;
    LinkNewest(entry);
  }

  // The key's entry, or null.
  const Entry* Find(TreeId tree, const HashedKey& hashed) const {
    if (!filter_.MayContain(hashed.hash)) return nullptr;
    const KeyProbe& probe = hashed.probe;
    const Index* const index = FindIndex(tree);
    if (index == nullptr) return nullptr;
    const auto at = index->lower_bound(probe);
    if (at == index->end() || at->head != probe.head) return nullptr;
    return at->entry->key() == probe.key ? at->entry : nullptr;
  }

  // An entry in the range that conflicts with a read at `since`, or null. Walks the range in key
  // order and the changes after `since` from the newest, in turns: whichever ends first decides.
  const Entry* FindInRange(TreeId tree, const KeyProbe& begin, std::string_view end, Sequence since,
                           ReadMode mode) const {
    const Index* const index = FindIndex(tree);
    if (index == nullptr) return nullptr;
    const Entry* by_age = newest_;
    for (auto at = index->lower_bound(begin); at != index->end(); ++at) {
      if (!end.empty() && at->entry->key() >= end) return nullptr;
      if (at->entry->ChangedAfter(since, mode)) return at->entry;
      if (by_age == nullptr || by_age->last_change <= since) return nullptr;
      if (by_age->ChangedAfter(since, mode) && by_age->tree == tree &&
          InRange(by_age->key(), begin.key, end)) {
        return by_age;
      }
      by_age = by_age->older;
    }
    return nullptr;
  }

  bool empty() const { return newest_ == nullptr; }
  // REQUIRES: !empty().
  Sequence last_change() const { return newest_->last_change; }

  size_t memory_bytes() const {
    return sizeof(*this) + filter_.memory_bytes() + arena_.memory_bytes() +
           entry_count_ * kSlotBytes + indexes_.size() * kIndexBytes;
  }

 private:
  Index& IndexOf(TreeId tree) {
    if (recent_index_ == nullptr || recent_tree_ != tree) {
      auto& index = indexes_[tree];
      if (index == nullptr) index = std::make_unique<Index>();
      recent_tree_ = tree;
      recent_index_ = index.get();
    }
    return *recent_index_;
  }

  const Index* FindIndex(TreeId tree) const {
    if (recent_index_ != nullptr && recent_tree_ == tree) return recent_index_;
    const auto at = indexes_.find(tree);
    return at == indexes_.end() ? nullptr : at->second.get();
  }

  Entry* MakeEntry(TreeId tree, std::string_view key) {
    char* const memory = arena_.Allocate(sizeof(Entry) + key.size());
    Entry* const entry = new (memory) Entry{};
    entry->tree = tree;
    entry->key_size = static_cast<uint32_t>(key.size());
    if (!key.empty()) std::memcpy(memory + sizeof(Entry), key.data(), key.size());
    return entry;
  }

  void Unlink(Entry* entry) {
    if (entry->older != nullptr) entry->older->newer = entry->newer;
    (entry->newer == nullptr ? newest_ : entry->newer->older) = entry->older;
  }

  void LinkNewest(Entry* entry) {
    entry->older = newest_;
    entry->newer = nullptr;
    if (newest_ != nullptr) newest_->newer = entry;
    newest_ = entry;
  }

  KeyFilter filter_;  // of the keys, so that a probe skips most generations without them
  Arena arena_;
  absl::flat_hash_map<TreeId, std::unique_ptr<Index>> indexes_;
  // The tree of the last Add: the keys of a transaction mostly come tree by tree.
  TreeId recent_tree_;
  Index* recent_index_ = nullptr;
  Entry* newest_ = nullptr;
  size_t entry_count_ = 0;
};

ConflictWindow::ConflictWindow(size_t budget_bytes, Sequence start, base::MemoryCharge charge)
    : budget_bytes_(budget_bytes),
      newest_(start),
      unlisted_(start),
      reach_(start),
      charge_(std::move(charge)) {}

ConflictWindow::~ConflictWindow() = default;

ConflictWindow::Generation& ConflictWindow::NewestWithSpace() {
  if (!generations_.empty()) {
    const size_t newest_bytes = generations_.back()->memory_bytes();
    if (newest_bytes < newest_share_) return *generations_.back();
    older_bytes_ += newest_bytes;
  }
  // The one to be begun may grow by its share.
  newest_share_ = budget_bytes_ / kGenerations;
  while (!generations_.empty() && older_bytes_ + newest_share_ > budget_bytes_) DropOldest();
  while (!Claim(older_bytes_ + newest_share_)) {
    if (generations_.empty()) {
      newest_share_ = std::min(newest_share_, kSmallGenerationBytes);
      charge_.Set(static_cast<int64_t>(newest_share_));
      break;
    }
    DropOldest();
  }
  generations_.push_back(std::make_unique<Generation>(newest_share_));
  return *generations_.back();
}

bool ConflictWindow::Claim(size_t bytes) {
  const int64_t more = static_cast<int64_t>(bytes) - charge_.bytes();
  if (more > 0) return charge_.Grow(more);
  charge_.Set(static_cast<int64_t>(bytes));
  return true;
}

void ConflictWindow::DropOldest() {
  const Generation& oldest = *generations_.front();
  reach_ = std::max(reach_, oldest.last_change());
  older_bytes_ -= oldest.memory_bytes();
  generations_.pop_front();
}

void ConflictWindow::Add(TreeId tree, std::string_view key, Sequence sequence, ChangeKind kind) {
  SOP_CHECK(sequence >= newest_);
  newest_ = sequence;
  NewestWithSpace().Add(tree, HashedKey(tree, key), sequence, kind);
}

void ConflictWindow::Forget(Sequence sequence) {
  newest_ = std::max(newest_, sequence);
  unlisted_ = std::max(unlisted_, sequence);
  reach_ = std::max(reach_, sequence);
  while (generations_.size() > 1 && generations_.front()->last_change() <= sequence) DropOldest();
}

ProbeResult ConflictWindow::Probe(TreeId tree, std::string_view key, Sequence since,
                                  ReadMode mode) const {
  if (newest_ <= since) return {};
  const HashedKey hashed(tree, key);
  for (auto at = generations_.rbegin(); at != generations_.rend(); ++at) {
    const Generation& generation = **at;
    if (generation.last_change() <= since) break;
    const Entry* const entry = generation.Find(tree, hashed);
    if (entry == nullptr) continue;
    if (entry->ChangedAfter(since, mode)) return {ProbeOutcome::kChanged, entry->key()};
    // The newest entry of a key has its very last change, even for a snapshot beyond reach, as long
    // as every commit since was listed.
    if (entry->last_change <= since && since >= unlisted_) return {};
  }
  return {since >= reach_ ? ProbeOutcome::kUnchanged : ProbeOutcome::kBeyondReach, {}};
}

ProbeResult ConflictWindow::ProbeRange(TreeId tree, std::string_view begin, std::string_view end,
                                       Sequence since, ReadMode mode) const {
  const KeyProbe probe(begin);
  for (auto at = generations_.rbegin(); at != generations_.rend(); ++at) {
    const Generation& generation = **at;
    if (generation.last_change() <= since) break;
    const Entry* const entry = generation.FindInRange(tree, probe, end, since, mode);
    if (entry != nullptr) return {ProbeOutcome::kChanged, entry->key()};
  }
  return {since >= reach_ ? ProbeOutcome::kUnchanged : ProbeOutcome::kBeyondReach, {}};
}

size_t ConflictWindow::memory_bytes() const {
  return older_bytes_ + (generations_.empty() ? 0 : generations_.back()->memory_bytes());
}

}  // namespace sop::txn
