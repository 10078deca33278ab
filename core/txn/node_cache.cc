#include "core/txn/node_cache.h"

#include <algorithm>
#include <utility>

#include "core/base/fault/seeded_bug.h"

namespace sop::txn {
namespace {

constexpr size_t kEntryOverhead = 96;

}  // namespace

NodeCache::NodeCache(std::shared_ptr<CacheBudget> budget)
    : budget_(std::move(budget)), shards_(kShards) {
  budget_->Join(*this);
}

NodeCache::~NodeCache() {
  budget_->Leave(*this);
  budget_->Charge(-charged_bytes());
}

NodeCache::Shard& NodeCache::ShardOf(const Key& key) {
  return shards_[absl::HashOf(key.tree.value, key.node.value) % kShards];
}

void NodeCache::Recharge(Entry& entry) {
  size_t charge = 0;
  const btree::NodeImage* newer = nullptr;
  for (const Version& version : entry.versions) {
    charge += kEntryOverhead;
    if (version.node == nullptr) continue;
    const btree::NodeImage* image = &version.node->image();
    charge += version.node->charge() - (image == newer ? image->size() : 0);
    newer = image;
  }
  const auto charged = static_cast<int64_t>(charge);
  if (charged == entry.charged) return;
  charged_.fetch_add(charged - entry.charged, std::memory_order_relaxed);
  budget_->Charge(charged - entry.charged);
  entry.charged = charged;
}

uint64_t& NodeCache::FloorOf(Shard& shard, const Key& key) {
  return shard.floors[absl::HashOf(key) % kFloors];
}

bool NodeCache::Find(TreeId tree, NodeId node, Sequence at, btree::NodeRef* version) {
  const Key key{tree, node};
  Shard& shard = ShardOf(key);
  base::MutexLock lock(shard.mu);
  const auto it = shard.entries.find(key);
  if (it != shard.entries.end()) {
    for (const Version& candidate : it->second.versions) {
      if (at.value >= candidate.until && !base::HasSeededBug("hole_in_version_chain")) break;
      if (candidate.from > at.value) continue;
      it->second.referenced = true;
      ++shard.hits;
      *version = candidate.node;
      return true;
    }
  }
  ++shard.misses;
  return false;
}

// Three rounds: the entries are prefetched, then the versions that they most likely give, which are
// written to when their references are counted.
void NodeCache::FindAll(TreeId tree, std::span<const NodeId> nodes, Sequence at,
                        btree::NodeRef* versions) {
  for (const NodeId node : nodes) {
    const Key key{tree, node};
    Shard& shard = ShardOf(key);
    base::MutexLock lock(shard.mu);
    shard.entries.prefetch(key);
  }
  for (const NodeId node : nodes) {
    const Key key{tree, node};
    Shard& shard = ShardOf(key);
    base::MutexLock lock(shard.mu);
    const auto it = shard.entries.find(key);
    if (it == shard.entries.end() || it->second.versions.empty()) continue;
    __builtin_prefetch(it->second.versions.front().node.get(), 1);
  }
  for (size_t i = 0; i < nodes.size(); ++i) Find(tree, nodes[i], at, &versions[i]);
}

NodeCache::Entry& NodeCache::EntryOf(Shard& shard, const Key& key) {
  const auto [it, inserted] = shard.entries.try_emplace(key);
  if (inserted) shard.ring.push_back(key);
  it->second.referenced = true;
  return it->second;
}

void NodeCache::Insert(TreeId tree, NodeId node, Sequence at, const btree::NodeRef& version) {
  const Key key{tree, node};
  Shard& shard = ShardOf(key);
  base::MutexLock lock(shard.mu);
  Entry& entry = EntryOf(shard, key);
  const uint64_t floor = FloorOf(shard, key);
  // Newest first: `place` is the first version that is not newer than the snapshot.
  auto place = entry.versions.begin();
  while (place != entry.versions.end() && place->from > at.value) ++place;
  const uint64_t successor = place == entry.versions.begin() ? kOpen : std::prev(place)->from;
  const bool is_newest = successor == kOpen && floor <= at.value;
  const uint64_t until = is_newest ? kOpen : std::min(successor, at.value + 1);
  const uint64_t reaches = successor != kOpen && floor <= at.value ? successor : until;
  if (place != entry.versions.end() && at.value < place->until) {
    place->until = std::max(place->until, reaches);
    return;
  }
  // A leaf is the same as long as its sequence is.
  const bool is_leaf = version != nullptr && version->is_leaf();
  if (is_leaf && place != entry.versions.end() && place->node != nullptr &&
      place->node->sequence() == version->sequence()) {
    place->until = reaches;
    return;
  }
  Version added;
  // Counts of an inner node are those at the snapshot; a leaf is the same back to its sequence.
  added.from = is_leaf ? version->sequence().value : at.value;
  if (place != entry.versions.end()) added.from = std::max(added.from, place->until);
  added.until = reaches;
  added.node = version;
  entry.versions.insert(place, std::move(added));
  Recharge(entry);
  EvictSome(shard);
}

void NodeCache::Install(TreeId tree, NodeId node, Sequence from, btree::NodeRef version) {
  const Key key{tree, node};
  Shard& shard = ShardOf(key);
  base::MutexLock lock(shard.mu);
  Entry& entry = EntryOf(shard, key);
  if (!entry.versions.empty()) {
    Version& newest = entry.versions.front();
    newest.until = std::min(newest.until, from.value);
  }
  Version added{from.value, kOpen, std::move(version)};
  entry.versions.insert(entry.versions.begin(), std::move(added));
  uint64_t& floor = FloorOf(shard, key);
  DropGarbage(floor, entry);
  Thin(floor, entry);
  Recharge(entry);
  EvictSome(shard);
}

void NodeCache::Invalidate(TreeId tree, NodeId node, Sequence from) {
  const Key key{tree, node};
  Shard& shard = ShardOf(key);
  base::MutexLock lock(shard.mu);
  uint64_t& floor = FloorOf(shard, key);
  floor = std::max(floor, from.value);
  const auto it = shard.entries.find(key);
  if (it == shard.entries.end() || it->second.versions.empty()) return;
  Version& newest = it->second.versions.front();
  newest.until = std::min(newest.until, from.value);
}

void NodeCache::Withdraw(TreeId tree, NodeId node, Sequence sequence) {
  const Key key{tree, node};
  Shard& shard = ShardOf(key);
  base::MutexLock lock(shard.mu);
  const auto it = shard.entries.find(key);
  if (it == shard.entries.end()) return;
  auto& versions = it->second.versions;
  while (!versions.empty() && versions.front().from > sequence.value) {
    versions.erase(versions.begin());
  }
  Recharge(it->second);
  // It ended where the withdrawn version began; sequences above will be given to other commits.
  if (!versions.empty() && versions.front().until > sequence.value + 1) {
    versions.front().until = sequence.value + 1;
  }
}

void NodeCache::Publish(Sequence published, Sequence oldest_snapshot) {
  published_.store(published.value, std::memory_order_release);
  oldest_snapshot_.store(oldest_snapshot.value, std::memory_order_release);
}

void NodeCache::Hold(std::vector<Sequence> held) {
  auto added = std::make_shared<const std::vector<Sequence>>(std::move(held));
  base::MutexLock lock(held_mu_);
  held_.swap(added);
}

void NodeCache::DropGarbage(uint64_t& floor, Entry& entry) {
  const uint64_t oldest = oldest_snapshot_.load(std::memory_order_acquire);
  while (entry.versions.size() > 1 && entry.versions.back().until <= oldest) {
    entry.versions.pop_back();
  }
  if (entry.versions.size() > 2) DropUnheld(floor, entry);
}

void NodeCache::DropUnheld(uint64_t& floor, Entry& entry) {
  std::shared_ptr<const std::vector<Sequence>> held;
  {
    base::MutexLock lock(held_mu_);
    held = held_;
  }
  if (held == nullptr) return;
  const auto is_garbage = [&held](const Version& version) {
    if (version.until > held->back().value) return false;
    const auto seen_by = std::lower_bound(held->begin(), held->end(), Sequence{version.from});
    return seen_by->value >= version.until;
  };
  for (auto version = entry.versions.begin() + 1; version != entry.versions.end();) {
    if (!is_garbage(*version)) {
      ++version;
      continue;
    }
    floor = std::max(floor, version->from);
    version = entry.versions.erase(version);
  }
}

// The last version is what the oldest snapshot reads, and may be asked for as often as the newest.
void NodeCache::Thin(uint64_t& floor, Entry& entry) {
  const uint64_t published = published_.load(std::memory_order_acquire);
  while (entry.versions.size() > kMaxVersions) {
    const auto victim = entry.versions.end() - 2;
    if (victim->from > published) return;
    floor = std::max(floor, victim->from);
    entry.versions.erase(victim);
  }
}

bool NodeCache::EvictEntry(uint64_t& floor, Entry& entry) {
  const uint64_t published = published_.load(std::memory_order_acquire);
  for (auto version = entry.versions.begin(); version != entry.versions.end();) {
    if (version->from > published) {
      ++version;
      continue;
    }
    if (!base::HasSeededBug("wrong_floor")) floor = std::max(floor, version->from);
    version = entry.versions.erase(version);
  }
  Recharge(entry);
  return entry.versions.empty();
}

// Second chance in ring order, a few steps each time, so that no insert pays for a whole sweep.
void NodeCache::EvictSome(Shard& shard) {
  constexpr int kSteps = 16;
  for (int step = 0; step < kSteps && budget_->exceeded() && !shard.ring.empty(); ++step) {
    EvictStep(shard);
  }
}

void NodeCache::EvictStep(Shard& shard) {
  if (shard.hand >= shard.ring.size()) shard.hand = 0;
  const auto it = shard.entries.find(shard.ring[shard.hand]);
  if (it != shard.entries.end() && it->second.referenced) {
    it->second.referenced = false;
    ++shard.hand;
    return;
  }
  if (it != shard.entries.end()) {
    if (!EvictEntry(FloorOf(shard, it->first), it->second)) {
      ++shard.hand;
      return;
    }
    ++shard.evictions;
    shard.entries.erase(it);
  }
  shard.ring[shard.hand] = shard.ring.back();
  shard.ring.pop_back();
}

// Shard by shard, a part of each in every round, so that no lock is held for long and all shards
// lose alike. Two passes over a ring are enough to meet everything that may go.
void NodeCache::Shrink(int64_t target_bytes) {
  constexpr int kRounds = 32;
  for (int round = 0; round < kRounds; ++round) {
    for (Shard& shard : shards_) {
      if (charged_bytes() <= target_bytes) return;
      base::MutexLock lock(shard.mu);
      const size_t steps = shard.ring.size() * 2 / kRounds + 1;
      for (size_t step = 0; step < steps && !shard.ring.empty(); ++step) EvictStep(shard);
    }
  }
}

NodeCache::Counters NodeCache::counters() {
  Counters sum;
  for (Shard& shard : shards_) {
    base::MutexLock lock(shard.mu);
    sum.hits += shard.hits;
    sum.misses += shard.misses;
    sum.evictions += shard.evictions;
  }
  return sum;
}

}  // namespace sop::txn
