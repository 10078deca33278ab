#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/btree/node/node_version.h"
#include "core/txn/cache_budget.h"
#include "core/txn/damage/damaged_trees.h"

namespace sop::txn {

// Versions of the nodes of one database. A version carries [from, until): it is what every snapshot
// S with from <= S < until sees. The newest has no until as long as its successor is unknown *and*
// it is known to be the newest.
//
// Invariants:
// 1. For one node the intervals do not overlap.
// 2. A version whose interval is open is the node's newest.
// 3. Versions above published() are never evicted: storage does not have them yet.
//
// A reader of snapshot S that finds nothing reads storage at S and offers the result with
// Insert(S): the version then holds for [its sequence, S], and on without end only if nothing newer
// can have been forgotten. (Taking "the newest version not newer than S" is wrong once a middle
// version was evicted.)
// Thread-safe.
class NodeCache {
 public:
  // As a snapshot that sees a node's newest version, if the cache knows which it is.
  static constexpr Sequence kNewest{UINT64_MAX - 1};

  explicit NodeCache(std::shared_ptr<CacheBudget> budget);
  ~NodeCache();

  // The version that snapshot `at` sees. False if the cache does not know; a known absence is true
  // with a null `*node`.
  bool Find(TreeId tree, NodeId node, Sequence at, btree::NodeRef* version);

  // Find for several nodes of a tree at once: what the look-ups wait for in memory overlaps.
  // versions[i] stays null where the cache does not know.
  void FindAll(TreeId tree, std::span<const NodeId> nodes, Sequence at, btree::NodeRef* versions);

  // The newest version, if the cache knows which it is.
  bool FindNewest(TreeId tree, NodeId node, btree::NodeRef* version) {
    return Find(tree, node, kNewest, version);
  }

  // `version` was read from storage at snapshot `at`; null if it did not exist.
  void Insert(TreeId tree, NodeId node, Sequence at, const btree::NodeRef& version);

  // Committer: from `from` on the node is `version` (null: gone). Ends the newest version there.
  void Install(TreeId tree, NodeId node, Sequence from, btree::NodeRef version);

  // Committer: somebody else changed the node in a commit after `from`; its newest version is to be
  // read from storage.
  void Invalidate(TreeId tree, NodeId node, Sequence from);

  // Committer: takes back Installs above `sequence`. The nodes' newest version is then unknown
  // until it is read again.
  void Withdraw(TreeId tree, NodeId node, Sequence sequence);

  // Versions up to here are in storage. Snapshots below `oldest_snapshot` are gone, so versions
  // that ended before it are garbage.
  void Publish(Sequence published, Sequence oldest_snapshot);

  // These snapshots, ascending and not empty, are all that are held up to the last of them, which
  // is the newest commit: other versions that ended by then are garbage, wherever they lie.
  void Hold(std::vector<Sequence> held);

  // Trees that could not be read where the cache had to ask the storage.
  DamagedTrees& damaged() { return damaged_; }

  struct Counters {
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t evictions = 0;
  };
  Counters counters();

  // Entries are dropped, or soon will be.
  bool NearlyFull() const { return budget_->NearlyFull(); }
  // What its entries take.
  int64_t charged_bytes() const { return charged_.load(std::memory_order_relaxed); }
  // Drops what was not used lately until at most `target_bytes` are left, or nothing that may go.
  void Shrink(int64_t target_bytes);

 private:
  static constexpr int kShards = 64;
  static constexpr int kFloors = 128;  // per shard; 64 KiB in all
  static constexpr uint64_t kOpen = UINT64_MAX;
  // A node written again and again behind a snapshot held open: more versions than this are thinned
  // out between the oldest and the newest.
  static constexpr size_t kMaxVersions = 16;

  struct Key {
    TreeId tree;
    NodeId node;
    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.tree.value, key.node.value);
    }
  };
  struct Version {
    uint64_t from = 0;
    uint64_t until = kOpen;
    btree::NodeRef node;
  };
  struct Entry {
    absl::InlinedVector<Version, 2> versions;  // newest first
    bool referenced = true;
    int64_t charged = 0;
  };
  struct alignas(64) Shard {
    base::Mutex mu;
    absl::flat_hash_map<Key, Entry> entries SOP_GUARDED_BY(mu);
    std::vector<Key> ring SOP_GUARDED_BY(mu);  // clock order; may name evicted entries
    size_t hand SOP_GUARDED_BY(mu) = 0;
    // Newest `from` of any version forgotten, by hash of the node: one for all would make whatever
    // is read again while others are evicted good for one snapshot only.
    std::array<uint64_t, kFloors> floors SOP_GUARDED_BY(mu) = {};
    uint64_t hits SOP_GUARDED_BY(mu) = 0;
    uint64_t misses SOP_GUARDED_BY(mu) = 0;
    uint64_t evictions SOP_GUARDED_BY(mu) = 0;
  };

  Shard& ShardOf(const Key& key);
  // Charges what the entry's versions own: neighbours may share one image.
  void Recharge(Entry& entry);
  static uint64_t& FloorOf(Shard& shard, const Key& key) SOP_REQUIRES(shard.mu);
  Entry& EntryOf(Shard& shard, const Key& key) SOP_REQUIRES(shard.mu);
  void DropGarbage(uint64_t& floor, Entry& entry);
  // Versions between those that held snapshots see.
  void DropUnheld(uint64_t& floor, Entry& entry);
  void Thin(uint64_t& floor, Entry& entry);
  void EvictSome(Shard& shard) SOP_REQUIRES(shard.mu);
  // One step of the clock. REQUIRES: the ring is not empty.
  void EvictStep(Shard& shard) SOP_REQUIRES(shard.mu);
  // Evicts what is not pinned; true if nothing is left.
  bool EvictEntry(uint64_t& floor, Entry& entry);

  const std::shared_ptr<CacheBudget> budget_;
  DamagedTrees damaged_;
  std::atomic<uint64_t> published_{0};
  std::atomic<uint64_t> oldest_snapshot_{0};
  std::atomic<int64_t> charged_{0};
  base::Mutex held_mu_;  // after a shard's
  std::shared_ptr<const std::vector<Sequence>> held_ SOP_GUARDED_BY(held_mu_);
  std::vector<Shard> shards_;
};

}  // namespace sop::txn
