#include "storage/rocksdb/node_memtable.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <vector>

#include <rocksdb/slice.h>
#include <rocksdb/version.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/mutex.h"

namespace sop::rocksdb_storage {

// MemTableRep::Get asks GetDynamicPrefixIterator(nullptr) for an iterator, never deletes it, and
// uses it before anybody on its thread asks for another: PointIterator relies on that. Read Get,
// MemTable::Add and MemTableIterator of another version before it is admitted here.
static_assert(ROCKSDB_MAJOR == 7 && ROCKSDB_MINOR == 8);

namespace {

using rocksdb::Slice;

// An entry's key ends in its sequence number and type.
constexpr size_t kTrailerBytes = 8;
// One bucket for as many bytes of write buffer.
constexpr size_t kBytesPerBucket = 512;
// One entry of so many of a key is a landmark.
constexpr uint32_t kLandmarkEvery = 64;

// Stands before the bytes of an entry as RocksDB wrote them: length of key and trailer as varint32,
// key, trailer, value.
struct Entry {
  std::atomic<Entry*> next;

  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
};

uint64_t TrailerOf(const Slice& internal_key) {
  return base::LoadLittle64(internal_key.data() + internal_key.size() - kTrailerBytes);
}

Slice UserKeyOf(const Slice& internal_key) {
  return {internal_key.data(), internal_key.size() - kTrailerBytes};
}

uint64_t TrailerOf(const Entry& entry) {
  return TrailerOf(rocksdb::GetLengthPrefixedSlice(entry.bytes()));
}

// A way into the middle of a long chain, for readers at old snapshots.
struct Landmark {
  const uint64_t trailer;
  const Entry* const entry;
  const Landmark* const older;
};

// All entries of one key, which follows it in memory.
struct Group {
  Group* const next_in_bucket;
  const uint64_t hash;
  std::atomic<Entry*> newest;
  std::atomic<const Landmark*> landmark;
  // Read by the writer only; atomic because writers take turns.
  std::atomic<uint64_t> newest_trailer;
  std::atomic<uint32_t> entries;
  const uint32_t key_size;

  Slice key() const { return {reinterpret_cast<const char*>(this + 1), key_size}; }
};

uint64_t HashOf(const Slice& key) {
  // Multiply and fold as in wyhash (Wang Yi, 2019), eight bytes at a time.
  const auto mix = [](uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  constexpr uint64_t kOther = 0xe7037ed1a0b428db;
  uint64_t hash = key.size() * kOdd;
  const char* p = key.data();
  size_t left = key.size();
  for (; left >= sizeof(uint64_t); p += sizeof(uint64_t), left -= sizeof(uint64_t)) {
    hash = mix(hash ^ base::LoadLittle64(p), kOdd);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, p, left);
  return mix(hash ^ rest, kOther);
}

// The first entry of the group whose trailer is at most `trailer`, or null.
const Entry* FirstNotAfter(const Group& group, uint64_t trailer) {
  const Entry* entry = group.newest.load(std::memory_order_acquire);
  for (const Landmark* mark = group.landmark.load(std::memory_order_acquire);
       mark != nullptr && mark->trailer > trailer; mark = mark->older) {
    entry = mark->entry;
  }
  while (entry != nullptr && TrailerOf(*entry) > trailer) {
    entry = entry->next.load(std::memory_order_acquire);
  }
  return entry;
}

// The entry before `end`, which is one of the group's or null for the end of its chain; null if
// `end` is the first.
const Entry* EntryBefore(const Group& group, const Entry* end) {
  const Entry* before = nullptr;
  for (const Entry* entry = group.newest.load(std::memory_order_acquire); entry != end;
       entry = entry->next.load(std::memory_order_acquire)) {
    before = entry;
  }
  return before;
}

// The last entry of the group whose trailer is at least `trailer`, or null.
const Entry* LastNotBefore(const Group& group, uint64_t trailer) {
  return EntryBefore(group, trailer == 0 ? nullptr : FirstNotAfter(group, trailer - 1));
}

using SortedGroups = std::vector<const Group*>;

bool KeyLess(const Group* group, const Slice& key) { return group->key().compare(key) < 0; }

// Entries of one key, for MemTableRep::Get. Trivially destructible, so that callers may leak it.
// Confined to one thread.
class PointIterator : public rocksdb::MemTableRep::Iterator {
 public:
  class Finder {
   public:
    virtual const Group* Find(const Slice& key) const = 0;

   protected:
    ~Finder() = default;
  };

  explicit PointIterator(const Finder& groups) : groups_(groups) {}

  // It lives in memory of its thread, whoever deletes it.
  static void operator delete(void* /*place*/) {}

  bool Valid() const override { return entry_ != nullptr; }
  const char* key() const override { return entry_->bytes(); }
  void Next() override { entry_ = entry_->next.load(std::memory_order_acquire); }
  void Prev() override { entry_ = EntryBefore(*group_, entry_); }

  void Seek(const Slice& internal_key, const char* /*memtable_key*/) override {
    group_ = groups_.Find(UserKeyOf(internal_key));
    entry_ = group_ == nullptr ? nullptr : FirstNotAfter(*group_, TrailerOf(internal_key));
  }
  void SeekForPrev(const Slice& internal_key, const char* /*memtable_key*/) override {
    group_ = groups_.Find(UserKeyOf(internal_key));
    entry_ = group_ == nullptr ? nullptr : LastNotBefore(*group_, TrailerOf(internal_key));
  }
  // Before the first and behind the last of no key there is nothing.
  void SeekToFirst() override { entry_ = nullptr; }
  void SeekToLast() override { entry_ = nullptr; }

 private:
  const Finder& groups_;
  const Group* group_ = nullptr;
  const Entry* entry_ = nullptr;
};

// The hash table. One writer at a time, any number of readers. Thread-safe.
class NodeMemTable final : public rocksdb::MemTableRep, private PointIterator::Finder {
 public:
  NodeMemTable(rocksdb::Allocator* allocator, size_t bucket_count)
      : MemTableRep(allocator), bucket_count_(bucket_count) {}
  ~NodeMemTable() override { std::free(buckets_.load(std::memory_order_relaxed)); }
  NodeMemTable(const NodeMemTable&) = delete;
  NodeMemTable& operator=(const NodeMemTable&) = delete;

  rocksdb::KeyHandle Allocate(size_t bytes, char** buffer) override {
    Entry* const entry = ::new (AllocateAligned(sizeof(Entry) + bytes)) Entry{nullptr};
    *buffer = reinterpret_cast<char*>(entry + 1);
    return entry;
  }
  void Insert(rocksdb::KeyHandle handle) override;
  bool Contains(const char* key) const override;
  void MarkReadOnly() override { read_only_.store(true, std::memory_order_release); }
  uint64_t ApproximateNumEntries(const Slice& begin, const Slice& end) override;
  size_t ApproximateMemoryUsage() override;
  Iterator* GetIterator(rocksdb::Arena* arena) override;
  Iterator* GetDynamicPrefixIterator(rocksdb::Arena* arena) override;

  // The groups there are, by key: the memtable's own if it is full, else those put in `*own`.
  const SortedGroups& Sorted(SortedGroups* own) const;

 private:
  class OrderedIterator;
  struct IteratorPlace;

  const Group* Find(const Slice& key) const override;
  template <typename Visit>
  void VisitGroups(Visit visit) const;
  SortedGroups Sort() const;

  void* AllocateAligned(size_t bytes);
  std::atomic_ref<Group*> Bucket(Group** buckets, uint64_t hash) const {
    return std::atomic_ref<Group*>(buckets[hash & (bucket_count_ - 1)]);
  }
  Group** MakeBuckets();
  void AddGroup(Group** buckets, uint64_t hash, const Slice& key, Entry* first);
  void AddEntry(Group* group, uint64_t trailer, Entry* entry);

  // Constant after construction; a power of two.
  const size_t bucket_count_;
  // Synchronise themselves.
  std::atomic<Group**> buckets_{nullptr};  // null before the first insert
  std::atomic<size_t> group_count_{0};
  std::atomic<bool> read_only_{false};

  mutable base::Mutex mu_;
  mutable SortedGroups sorted_ SOP_GUARDED_BY(mu_);  // once read only: of all groups
  std::deque<IteratorPlace> iterators_ SOP_GUARDED_BY(mu_);
};

// Confined to one thread.
class NodeMemTable::OrderedIterator : public rocksdb::MemTableRep::Iterator {
 public:
  explicit OrderedIterator(const NodeMemTable& table) : table_(table) {}

  bool Valid() const override { return entry_ != nullptr; }
  const char* key() const override { return entry_->bytes(); }

  void Next() override {
    entry_ = entry_->next.load(std::memory_order_acquire);
    if (entry_ == nullptr) {
      EnterFromBelow(place_ + 1);
    } else {
      FetchAhead(entry_->next.load(std::memory_order_acquire));
    }
  }
  void Prev() override {
    entry_ = EntryBefore(*(*groups_)[place_], entry_);
    if (entry_ == nullptr) EnterFromAbove(place_);
  }
  void Seek(const Slice& internal_key, const char* /*memtable_key*/) override {
    const Group* const group = Locate(UserKeyOf(internal_key));
    entry_ = group == nullptr ? nullptr : FirstNotAfter(*group, TrailerOf(internal_key));
    if (entry_ == nullptr) EnterFromBelow(group == nullptr ? place_ : place_ + 1);
  }
  void SeekForPrev(const Slice& internal_key, const char* /*memtable_key*/) override {
    const Group* const group = Locate(UserKeyOf(internal_key));
    entry_ = group == nullptr ? nullptr : LastNotBefore(*group, TrailerOf(internal_key));
    if (entry_ == nullptr) EnterFromAbove(place_);
  }
  void SeekToFirst() override {
    Prepare();
    EnterFromBelow(0);
  }
  void SeekToLast() override {
    Prepare();
    EnterFromAbove(groups_->size());
  }

 private:
  void Prepare() {
    if (groups_ == nullptr) groups_ = &table_.Sorted(&own_);
  }
  // Puts place_ at the first key that is not less; returns its group if the keys are equal.
  const Group* Locate(const Slice& key) {
    Prepare();
    const auto found = std::lower_bound(groups_->begin(), groups_->end(), key, KeyLess);
    place_ = found - groups_->begin();
    return found != groups_->end() && (*found)->key() == key ? *found : nullptr;
  }
  // To the first entry of the group at `place`.
  void EnterFromBelow(size_t place) {
    place_ = place;
    entry_ = nullptr;
    if (place >= groups_->size()) return;
    entry_ = (*groups_)[place]->newest.load(std::memory_order_acquire);
    FetchAhead(entry_->next.load(std::memory_order_acquire));
    // Where the keys after this one will be looked for.
    if (place + 2 < groups_->size()) __builtin_prefetch((*groups_)[place + 2]);
    if (place + 1 < groups_->size()) {
      FetchAhead((*groups_)[place + 1]->newest.load(std::memory_order_acquire));
    }
  }
  // Flushes read every entry once: the next one is on its way while RocksDB writes this one.
  static void FetchAhead(const Entry* entry) {
    if (entry == nullptr) return;
    __builtin_prefetch(entry);
    __builtin_prefetch(entry->bytes() + 56);
    __builtin_prefetch(entry->bytes() + 120);
  }
  // To the last entry of the group before `place`.
  void EnterFromAbove(size_t place) {
    if (place == 0) {
      entry_ = nullptr;
      return;
    }
    place_ = place - 1;
    entry_ = EntryBefore(*(*groups_)[place_], nullptr);
  }

  const NodeMemTable& table_;
  SortedGroups own_;
  const SortedGroups* groups_ = nullptr;  // null before the first seek
  size_t place_ = 0;
  const Entry* entry_ = nullptr;
};

// RocksDB destroys an iterator that it asked for with an arena but frees nothing. The arena is an
// internal class, and the memtable's own allocator may not grow once it is full (see
// ApproximateMemoryUsage), so such iterators stay here for as long as the memtable.
struct NodeMemTable::IteratorPlace {
  alignas(OrderedIterator) std::byte bytes[sizeof(OrderedIterator)];
};

// RocksDB's arenas hand out bytes without alignment.
void* NodeMemTable::AllocateAligned(size_t bytes) {
  char* memory = nullptr;
  MemTableRep::Allocate(bytes + alignof(Entry) - 1, &memory);
  const auto address = reinterpret_cast<uintptr_t>(memory);
  return memory + (-address & (alignof(Entry) - 1));
}

Group** NodeMemTable::MakeBuckets() {
  // calloc takes zero pages from the system: buckets that are never used are never touched.
  auto* const buckets = static_cast<Group**>(std::calloc(bucket_count_, sizeof(Group*)));
  if (buckets == nullptr) throw std::bad_alloc();
  buckets_.store(buckets, std::memory_order_release);
  return buckets;
}

void NodeMemTable::Insert(rocksdb::KeyHandle handle) {
  auto* const entry = static_cast<Entry*>(handle);
  const Slice internal_key = rocksdb::GetLengthPrefixedSlice(entry->bytes());
  const Slice key = UserKeyOf(internal_key);
  const uint64_t hash = HashOf(key);
  Group** buckets = buckets_.load(std::memory_order_relaxed);
  if (buckets == nullptr) buckets = MakeBuckets();
  Group* group = Bucket(buckets, hash).load(std::memory_order_relaxed);
  while (group != nullptr && (group->hash != hash || group->key() != key)) {
    group = group->next_in_bucket;
  }
  if (group == nullptr) {
    AddGroup(buckets, hash, key, entry);
  } else {
    AddEntry(group, TrailerOf(internal_key), entry);
  }
}

void NodeMemTable::AddGroup(Group** buckets, uint64_t hash, const Slice& key, Entry* first) {
  static_assert(alignof(Group) <= alignof(Entry) && alignof(Landmark) <= alignof(Entry));
  const std::atomic_ref<Group*> bucket = Bucket(buckets, hash);
  auto* const group = ::new (AllocateAligned(sizeof(Group) + key.size()))
      Group{bucket.load(std::memory_order_relaxed), hash, first, nullptr, TrailerOf(*first), 1,
            static_cast<uint32_t>(key.size())};
  std::memcpy(group + 1, key.data(), key.size());
  bucket.store(group, std::memory_order_release);  // read by Find and VisitGroups
  group_count_.fetch_add(1, std::memory_order_relaxed);
}

void NodeMemTable::AddEntry(Group* group, uint64_t trailer, Entry* entry) {
  const uint32_t entries = group->entries.load(std::memory_order_relaxed) + 1;
  group->entries.store(entries, std::memory_order_relaxed);
  Entry* const newest = group->newest.load(std::memory_order_relaxed);
  if (trailer < group->newest_trailer.load(std::memory_order_relaxed)) {
    Entry* before = newest;
    Entry* after = before->next.load(std::memory_order_relaxed);
    while (after != nullptr && TrailerOf(*after) > trailer) {
      before = after;
      after = before->next.load(std::memory_order_relaxed);
    }
    entry->next.store(after, std::memory_order_relaxed);
    before->next.store(entry, std::memory_order_release);  // read wherever a chain is followed
    return;
  }
  group->newest_trailer.store(trailer, std::memory_order_relaxed);
  entry->next.store(newest, std::memory_order_relaxed);
  group->newest.store(entry, std::memory_order_release);  // read by FirstNotAfter and iterators
  if (entries % kLandmarkEvery == 0) {
    const auto* const landmark = ::new (AllocateAligned(sizeof(Landmark)))
        Landmark{trailer, entry, group->landmark.load(std::memory_order_relaxed)};
    group->landmark.store(landmark, std::memory_order_release);  // read by FirstNotAfter
  }
}

const Group* NodeMemTable::Find(const Slice& key) const {
  Group** const buckets = buckets_.load(std::memory_order_acquire);
  if (buckets == nullptr) return nullptr;
  const uint64_t hash = HashOf(key);
  const Group* group = Bucket(buckets, hash).load(std::memory_order_acquire);
  while (group != nullptr && (group->hash != hash || group->key() != key)) {
    group = group->next_in_bucket;
  }
  return group;
}

bool NodeMemTable::Contains(const char* key) const {
  const Slice internal_key = rocksdb::GetLengthPrefixedSlice(key);
  const Group* const group = Find(UserKeyOf(internal_key));
  if (group == nullptr) return false;
  const Entry* const entry = FirstNotAfter(*group, TrailerOf(internal_key));
  return entry != nullptr && TrailerOf(*entry) == TrailerOf(internal_key);
}

template <typename Visit>
void NodeMemTable::VisitGroups(Visit visit) const {
  Group** const buckets = buckets_.load(std::memory_order_acquire);
  if (buckets == nullptr) return;
  for (size_t i = 0; i < bucket_count_; ++i) {
    for (const Group* group = Bucket(buckets, i).load(std::memory_order_acquire); group != nullptr;
         group = group->next_in_bucket) {
      visit(*group);
    }
  }
}

uint64_t NodeMemTable::ApproximateNumEntries(const Slice& begin, const Slice& end) {
  const Slice first = UserKeyOf(begin);
  const Slice last = UserKeyOf(end);
  uint64_t entries = 0;
  VisitGroups([&](const Group& group) {
    if (group.key().compare(first) < 0 || group.key().compare(last) >= 0) return;
    entries += group.entries.load(std::memory_order_relaxed);
  });
  return entries;
}

// Room for the sorted groups counts before they are sorted: RocksDB adds up what full memtables use
// when they become full and checks that the sum covers them when they go.
size_t NodeMemTable::ApproximateMemoryUsage() {
  if (buckets_.load(std::memory_order_relaxed) == nullptr) return 0;
  return (bucket_count_ + group_count_.load(std::memory_order_relaxed)) * sizeof(Group*);
}

SortedGroups NodeMemTable::Sort() const {
  SortedGroups groups;
  groups.reserve(group_count_.load(std::memory_order_relaxed));
  VisitGroups([&groups](const Group& group) { groups.push_back(&group); });
  std::sort(groups.begin(), groups.end(), [](const Group* one, const Group* other) {
    return one->key().compare(other->key()) < 0;
  });
  return groups;
}

const SortedGroups& NodeMemTable::Sorted(SortedGroups* own) const {
  if (!read_only_.load(std::memory_order_acquire)) {
    *own = Sort();
    return *own;
  }
  const base::MutexLock lock(mu_);
  if (sorted_.empty()) sorted_ = Sort();
  return sorted_;
}

rocksdb::MemTableRep::Iterator* NodeMemTable::GetIterator(rocksdb::Arena* arena) {
  if (arena == nullptr) return new OrderedIterator(*this);
  const base::MutexLock lock(mu_);
  return ::new (iterators_.emplace_back().bytes) OrderedIterator(*this);
}

rocksdb::MemTableRep::Iterator* NodeMemTable::GetDynamicPrefixIterator(rocksdb::Arena* arena) {
  if (arena != nullptr) return GetIterator(arena);
  alignas(PointIterator) thread_local std::byte place[sizeof(PointIterator)];
  return ::new (place) PointIterator(*this);
}

}  // namespace

NodeMemTableFactory::NodeMemTableFactory(size_t write_buffer_bytes)
    : bucket_count_(std::bit_ceil(std::max<size_t>(write_buffer_bytes / kBytesPerBucket, 64))) {}

rocksdb::MemTableRep* NodeMemTableFactory::CreateMemTableRep(
    const rocksdb::MemTableRep::KeyComparator& /*compare*/, rocksdb::Allocator* allocator,
    const rocksdb::SliceTransform* /*prefix*/, rocksdb::Logger* /*log*/) {
  return new NodeMemTable(allocator, bucket_count_);
}

}  // namespace sop::rocksdb_storage
