#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/memory/memory_budget.h"
#include "core/btree/node/item.h"
#include "core/txn/assumption.h"
#include "core/txn/commit/conflict_window.h"
#include "core/txn/limits.h"
#include "core/txn/overlay/overlay.h"
#include "core/txn/overlay/own_write.h"
#include "core/txn/read_set.h"
#include "core/txn/snapshot.h"
#include "core/txn/value/staged_value.h"

namespace sop::txn {

enum class Mode : uint8_t { kReadWrite, kReadOnly };

enum class Isolation : uint8_t {
  kSerializable,  // everything read must still hold at commit
  kSnapshot,      // only keys written are checked, against other writes
};

// Whether a read goes into the read set. Untracked reads are for navigation and maintenance whose
// outcome does not matter to the transaction's meaning.
enum class Tracking : uint8_t { kTracked, kUntracked };

enum class Placement : uint8_t { kInNode, kOutOfNode };

struct TransactionOptions {
  Mode mode = Mode::kReadWrite;
  Isolation isolation = Isolation::kSerializable;
};

// What a store tells the tree about itself.
struct TreeOptions {
  uint32_t slot_length = 20'000;  // most items of a node, 2 to 20,000
  // Changes are recorded for those who follow them. Not for trees with late keys or counters.
  bool feed = false;
};

// A tree as one transaction calls it.
struct TreeSlot {
  int index = -1;
  friend bool operator==(const TreeSlot&, const TreeSlot&) = default;
};

// What to write beside a key. Views are copied.
struct ItemWrite {
  uint8_t format = 0;
  std::string_view ride_on;
  std::string_view value;
  Placement placement = Placement::kInNode;
  // In place of `value` and `placement`: sealed, and of the same tree.
  std::shared_ptr<const StagedValue> staged = nullptr;
  // Where in the key or value (big endian, 8 bytes) the committer writes the commit's Serial:
  // numbers that are unique in the database and ascend in commit order. Reads of one's own write
  // see a placeholder there until then, above every Serial.
  std::optional<uint32_t> late_key_offset;
  std::optional<uint32_t> late_value_offset;
};

class TransactionCursor;

// A snapshot of one database plus this transaction's own writes. Obtained from Engine::Begin; ended
// by Engine::Commit or by destruction, which rolls back. Errors of single calls leave it usable,
// but after a write that its disk had no room for it can only be rolled back.
//
// Invariants:
// 1. Reads see the snapshot and, on top, what this transaction wrote before.
// 2. In a serialisable read-write transaction whatever a tracked read revealed is in the read set.
// Confined to one thread at a time.
class Transaction {
 public:
  Transaction(TransactionId id, const TransactionOptions& options,
              std::shared_ptr<const Snapshot> snapshot, std::unique_ptr<SpillSpace> spill,
              const Limits& limits);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  TransactionId id() const { return id_; }
  Mode mode() const { return options_.mode; }
  Isolation isolation() const { return options_.isolation; }
  // The newest commit that it sees.
  Sequence read_version() const { return read_version_; }
  const Snapshot& snapshot() const { return *snapshot_; }
  const Limits& limits() const { return limits_; }

  // --- Trees ---

  // The same slot for the same id.
  TreeSlot OpenTree(TreeId tree, const TreeOptions& options);
  // A tree that gets its id at commit, by an assumption that calls CommitView::Bind.
  TreeSlot ProvisionalTree(const TreeOptions& options);
  // Nothing for a ProvisionalTree.
  std::optional<TreeId> tree_id(TreeSlot slot) const;

  // --- Reads --- (DATA_LOSS for damage, UNAVAILABLE for I/O errors)

  // The item, its value still a reference if it is kept out of the node (see LoadValue); with
  // kKeyOnly a value in the node is left out, if this transaction did not write it. Nothing if the
  // key is not there, which a tracked read remembers too.
  absl::StatusOr<std::optional<btree::Item>> Get(TreeSlot tree, std::string_view key, ReadMode mode,
                                                 Tracking tracking = Tracking::kTracked);
  // Get for several keys at once, which is faster than one after the other; (*items)[i] is for
  // keys[i].
  absl::Status GetAll(TreeSlot tree, std::span<const std::string_view> keys, ReadMode mode,
                      std::vector<std::optional<btree::Item>>* items);
  // Exact number of items with keys in [begin, end); an empty `end` means no upper bound. A
  // concurrent commit conflicts only if it changes the number.
  absl::StatusOr<uint64_t> Count(TreeSlot tree, std::string_view begin, std::string_view end);
  // Ordered reading; see TransactionCursor.
  std::unique_ptr<TransactionCursor> OpenCursor(TreeSlot tree, ReadMode mode,
                                                Tracking tracking = Tracking::kTracked);
  // Replaces a reference by the value itself. DATA_LOSS if size or checksum differ.
  absl::Status LoadValue(TreeSlot tree, btree::Item* item) const;
  // Piece i of a value to which an item of the tree refers. DATA_LOSS if it is not there or as long
  // as it must be.
  absl::StatusOr<std::string> LoadPiece(TreeSlot tree, const persistence::ValueReference& value,
                                        uint64_t i) const;

  // --- Writes --- (READ_ONLY_TRANSACTION; LIMIT_EXCEEDED above Limits; kDiskFull from spilling)

  // Blind: says nothing about what was there. `change`: kValueOnly if the caller knows, from a
  // tracked read, that the key is there with equal ride-on bytes.
  absl::Status Put(TreeSlot tree, std::string_view key, const ItemWrite& item,
                   ChangeKind change = ChangeKind::kStructural);
  // Blind: OK if the key is not there.
  absl::Status Erase(TreeSlot tree, std::string_view key);
  // REQUIRES: the caller knows, from a tracked read, that the key is there.
  absl::Status SetRideOn(TreeSlot tree, std::string_view key, std::string_view ride_on);
  // Adds to a counter, which starts at 0; commutes with every other Add.
  absl::Status Add(TreeSlot tree, std::string_view key, int64_t amount);
  // Takes back what CommitView::Bind did: the ids of provisional trees.
  void Unbind();
  // Something to be settled when the transaction's turn to commit comes.
  void Assume(std::unique_ptr<Assumption> assumption);

  // Nothing written and nothing assumed.
  bool IsEmpty() const;
  // Whether it wrote to a tree of that id.
  bool Writes(TreeId tree) const;
  // Nothing but erasures was written.
  bool OnlyErases() const { return only_erases_; }
  uint64_t write_count() const { return write_count_; }
  uint64_t write_bytes() const { return write_bytes_; }
  // Grows with every write: while it is the same nothing was written.
  uint64_t generation() const { return generation_; }
  // Why some write did not reach the temporary files: what the caller thinks was refused may be
  // among the writes, so that they cannot be committed. OK if all did.
  const absl::Status& write_failure() const { return write_failure_; }

 private:
  friend class TransactionCursor;
  friend class CommitBuilder;
  friend class CommitStager;
  friend class Validator;

  struct Tree {
    Tree(std::optional<TreeId> tree_id, const TreeOptions& tree_options, SpillSpace& spill)
        : provisional(!tree_id.has_value()), id(tree_id), options(tree_options), overlay(spill) {}
    const bool provisional;
    std::optional<TreeId> id;
    TreeOptions options;
    Overlay overlay;
  };

  bool Tracks(Tracking tracking) const;
  absl::Status CoarsenIfNeeded();
  absl::Status CheckWritable(uint64_t bytes) const;
  absl::Status CheckStaged(const Tree& tree, const StagedValue& value) const;
  absl::StatusOr<std::optional<std::string>> ReadPiece(const Tree& tree,
                                                       const persistence::ValueReference& value,
                                                       uint64_t i) const;
  absl::Status Write(TreeSlot tree, std::string_view key, OwnWrite write);
  absl::StatusOr<std::optional<btree::Item>> Join(TreeSlot tree, std::string_view key,
                                                  const OwnWrite& before, const OwnWrite& write);
  // How many items more the transaction's own writes make of [begin, end).
  absl::StatusOr<int64_t> OwnGrowth(TreeSlot tree, std::string_view begin, std::string_view end);
  absl::StatusOr<std::optional<btree::Item>> GetBase(const Tree& tree, std::string_view key,
                                                     ReadMode mode = ReadMode::kItem) const;
  Tree& at(TreeSlot slot) { return *trees_[static_cast<size_t>(slot.index)]; }
  const Tree& at(TreeSlot slot) const { return *trees_[static_cast<size_t>(slot.index)]; }

  const TransactionId id_;
  const TransactionOptions options_;
  const Sequence read_version_;
  // A newer one once staging found there what had been read: the older one is let go of.
  std::shared_ptr<const Snapshot> snapshot_;
  const std::unique_ptr<SpillSpace> spill_;
  const Limits limits_;
  std::vector<std::unique_ptr<Tree>> trees_;
  ReadSet read_set_;
  base::MemoryCharge read_charge_;  // of read_set_, beyond its first budget
  std::vector<std::unique_ptr<Assumption>> assumptions_;
  uint64_t write_count_ = 0;
  uint64_t write_bytes_ = 0;
  uint64_t generation_ = 0;
  uint32_t late_keys_ = 0;
  // Those to which the overlay refers.
  StagedValues staged_values_;
  bool only_erases_ = true;
  absl::Status write_failure_;
  std::string payload_;  // of the last write, its memory to be used again
};

}  // namespace sop::txn
