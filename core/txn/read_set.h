#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/string_map.h"
#include "core/txn/arena.h"
#include "core/txn/read_mode.h"

namespace sop::txn {

// Keys in [begin, end); an empty `end` means no upper bound.
struct KeyRange {
  std::string begin;
  std::string end;

  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

// What one transaction has read from its snapshot, so that the committer can tell whether all of it
// still holds: keys (found or missed), ranges, and counts of ranges. Its own writes are not reads.
// Trees are named by the small handle (0, 1, 2, ...) that the transaction gave them.
//
// Adding may make the set coarser (a range instead of points, one range instead of two) but never
// smaller.
//
// Invariants:
// 1. Whatever was added with a mode is covered by an entry of that mode or of kItem; a count is
//    kept as such or covered by a range of kKeyOnly or kItem.
// 2. The ranges of one tree and mode neither overlap nor touch.
//
// Call order: Add...; after each batch of them, if over_budget(), Coarsen. Then ForEach....
// Confined to its transaction.
class ReadSet {
 public:
  // Where the leaf of a key begins and ends in tree `tree` at the transaction's snapshot. The range
  // contains the key.
  using LeafRangeOf = absl::FunctionRef<absl::StatusOr<KeyRange>(int tree, std::string_view key)>;

  explicit ReadSet(size_t budget_bytes) : budget_bytes_(budget_bytes) {}
  // From now on.
  void SetBudget(size_t budget_bytes) { budget_bytes_ = budget_bytes; }
  size_t budget_bytes() const { return budget_bytes_; }
  ReadSet(const ReadSet&) = delete;
  ReadSet& operator=(const ReadSet&) = delete;

  // REQUIRES: tree >= 0, and small: the set is an array over trees.
  // `key` was looked up. Nothing happens if an entry covers it. O(1) expected.
  void AddPoint(int tree, std::string_view key, ReadMode mode);

  // Everything in [begin, end) was read, misses included; nothing happens if begin >= end. A range
  // that touches the one added last (a scan in either direction) extends it: O(1) forward,
  // O(log ranges) otherwise.
  void AddRange(int tree, std::string_view begin, std::string_view end, ReadMode mode);

  // [begin, end) held `count` items in the snapshot, and that is all the transaction knows of it.
  void AddCount(int tree, std::string_view begin, std::string_view end, uint64_t count);

  // An upper bound of the memory held, and whether it is above the budget.
  size_t memory_bytes() const;
  bool over_budget() const { return memory_bytes() > budget_bytes_; }

  // Brings memory_bytes() to half of the budget, in this order and no further than needed: drops
  // points inside ranges; replaces points by leaf ranges; replaces counts by ranges; joins the
  // ranges with the smallest gaps between them; covers whole trees. (A tree's fixed part of a few
  // hundred bytes stays, and one range for each mode: budgets are to be far above that.) Nothing is
  // lost, also if `leaf_range_of` fails: then its status is returned and the set may still be over
  // budget.
  absl::Status Coarsen(LeafRangeOf leaf_range_of);

  // Whether a read of `key` with `mode` is covered by a point or a range.
  bool Covers(int tree, std::string_view key, ReadMode mode) const;

  bool empty() const;
  // Handles in [0, tree_count()) may have entries.
  int tree_count() const { return static_cast<int>(trees_.size()); }

  // Call `visit` for each entry of a tree until it returns false, and return whether it never did.
  // Points come in no particular order, ranges by mode and then in key order. The views live as
  // long as the call. `visit` must not add to the set.
  using VisitPoint = absl::FunctionRef<bool(std::string_view key, ReadMode mode)>;
  using VisitRange =
      absl::FunctionRef<bool(std::string_view begin, std::string_view end, ReadMode mode)>;
  using VisitCount =
      absl::FunctionRef<bool(std::string_view begin, std::string_view end, uint64_t count)>;
  bool ForEachPoint(int tree, VisitPoint visit) const;
  bool ForEachRange(int tree, VisitRange visit) const;
  bool ForEachCount(int tree, VisitCount visit) const;

 private:
  static constexpr size_t kInlinePoints = 16;
  static constexpr size_t kCountsCompared = 16;

  struct Point {
    std::string_view key;
    ReadMode mode;
  };
  struct Count {
    std::string begin;
    std::string end;
    uint64_t count;
  };
  // The ranges of one mode: begin -> end, disjoint and not touching.
  class RangeMap {
   public:
    RangeMap() = default;
    RangeMap(const RangeMap&) = delete;
    RangeMap& operator=(const RangeMap&) = delete;

    void Add(std::string_view begin, std::string_view end);
    bool Covers(std::string_view key) const;
    bool CoversRange(std::string_view begin, std::string_view end) const;
    // Joins neighbours, nearest first, until memory_bytes() is at most `target` or one is left.
    void Join(size_t target);
    void CoverAll();
    size_t memory_bytes() const { return memory_bytes_; }
    bool ForEach(ReadMode mode, VisitRange visit) const;
    bool empty() const { return ranges_.empty(); }

   private:
    using Map = absl::btree_map<std::string, std::string, std::less<>>;

    static size_t BytesOf(const Map::value_type& range);
    bool ExtendLast(std::string_view begin, std::string_view end);
    void Replace(Map ranges);

    Map ranges_;
    // The range that was added to last; end() when unknown. Moves with every change of the map.
    Map::iterator last_ = ranges_.end();
    size_t memory_bytes_ = 0;
  };
  using PointMap =
      absl::flat_hash_map<std::string_view, ReadMode, base::StringHash, std::equal_to<>>;
  struct Tree {
    RangeMap& RangesOf(ReadMode mode) { return ranges[static_cast<size_t>(mode)]; }
    const RangeMap& RangesOf(ReadMode mode) const { return ranges[static_cast<size_t>(mode)]; }
    size_t PointBytes() const;
    size_t CountBytes() const;
    size_t memory_bytes() const;  // without the struct itself

    Arena keys;                                            // of the points
    absl::InlinedVector<Point, kInlinePoints> few_points;  // while there are no more than these
    PointMap many_points;                                  // afterwards
    RangeMap ranges[2];                                    // by ReadMode
    absl::InlinedVector<Count, 1> counts;
    size_t count_bytes = 0;  // of the strings in `counts`
  };

  Tree& TreeAt(int tree);
  Tree& TreeOf(int used_tree) { return *trees_[static_cast<size_t>(used_tree)]; }
  const Tree* FindTree(int tree) const;
  static bool CoveredByRange(const Tree& tree, std::string_view key, ReadMode mode);
  static std::vector<Point> TakeUncoveredPoints(Tree& tree);
  static void CoarsenCounts(Tree& tree);
  void DropCoveredPoints(int used_tree);
  absl::Status CoarsenPoints(int used_tree, LeafRangeOf leaf_range_of);

  size_t budget_bytes_;
  absl::InlinedVector<std::unique_ptr<Tree>, 4> trees_;  // by handle; null while unused
};

}  // namespace sop::txn
