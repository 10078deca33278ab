#pragma once

#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/btree/tree.h"
#include "core/persistence/storage.h"
#include "core/txn/count_ledger.h"
#include "core/txn/node_cache.h"

namespace sop::txn {

// One committed state of the database, held open. Everything published up to sequence() is in it.
// Thread-safe: immutable; cache and ledger synchronise themselves.
class Snapshot {
 public:
  // `taken_at` is monotonic.
  Snapshot(Sequence sequence, std::shared_ptr<const persistence::StorageSnapshot> storage,
           NodeCache& cache, const CountLedger& ledger, absl::Duration taken_at)
      : sequence_(sequence),
        storage_(std::move(storage)),
        cache_(cache),
        ledger_(ledger),
        taken_at_(taken_at) {}

  Sequence sequence() const { return sequence_; }
  absl::Duration taken_at() const { return taken_at_; }
  const persistence::StorageSnapshot& storage() const { return *storage_; }

  // Where damage met in any snapshot of this database is noted.
  DamagedTrees& damaged() const { return cache_.damaged(); }

  // What storage says of `tree`: an error of damage is noted and gets the detail "tree".
  absl::Status Noted(absl::Status status, TreeId tree) const;

  // A value kept outside nodes, or nothing if there is none.
  absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree, Serial value_id) const;

  // The node as of sequence(), from the cache or from storage; null if it does not exist.
  absl::StatusOr<btree::NodeRef> ReadNode(TreeId tree, NodeId node) const;
  // Of several nodes at once those that are cached; null for the others.
  void FindCached(TreeId tree, std::span<const NodeId> nodes, btree::NodeRef* versions) const {
    cache_.FindAll(tree, nodes, sequence_, versions);
  }
  // The same for a node that will not be asked for again: a leaf does not enter the cache.
  absl::StatusOr<btree::NodeRef> ReadNodeInPassing(TreeId tree, NodeId node) const;
  // Nodes that the calling thread has read from storage, of any snapshot. Who must not block
  // compares it before and after.
  static uint64_t StorageReadsOfThisThread();

 private:
  enum class Use { kOften, kOnce };
  absl::StatusOr<btree::NodeRef> ReadStored(TreeId tree, NodeId node, Use use) const;

  const Sequence sequence_;
  const std::shared_ptr<const persistence::StorageSnapshot> storage_;
  NodeCache& cache_;
  const CountLedger& ledger_;
  const absl::Duration taken_at_;
};

// Parses what storage gave for a node and completes the counts of an inner one. Damage names the
// tree.
absl::StatusOr<btree::NodeRef> MakeNodeVersion(std::string bytes, TreeId tree, NodeId node,
                                               Sequence at, const CountLedger& ledger);

// A Snapshot whose leaves are read only to be replaced. Thread-safe.
class PassingSource : public btree::NodeSource {
 public:
  explicit PassingSource(const Snapshot& snapshot) : snapshot_(snapshot) {}
  absl::StatusOr<btree::NodeRef> Read(TreeId tree, NodeId node) override {
    return snapshot_.ReadNodeInPassing(tree, node);
  }

 private:
  const Snapshot& snapshot_;
};

// A Snapshot as the tree wants it. Thread-safe.
class SnapshotSource : public btree::NodeSource {
 public:
  explicit SnapshotSource(const Snapshot& snapshot) : snapshot_(snapshot) {}
  absl::StatusOr<btree::NodeRef> Read(TreeId tree, NodeId node) override {
    return snapshot_.ReadNode(tree, node);
  }
  void FindCached(TreeId tree, std::span<const NodeId> nodes, btree::NodeRef* versions) override {
    snapshot_.FindCached(tree, nodes, versions);
  }

 private:
  const Snapshot& snapshot_;
};

}  // namespace sop::txn
