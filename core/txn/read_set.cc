#include "core/txn/read_set.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"
#include "core/txn/key_slot.h"

namespace sop::txn {
namespace {

// Heap bytes of a string beyond its own object.
size_t HeapBytes(const std::string& s) {
  constexpr size_t kInline = 15;
  return s.capacity() > kInline ? s.capacity() + 1 : 0;
}

// A node of the map is two strings; nodes are about two thirds full.
constexpr size_t kRangeBytes = 2 * sizeof(std::string) * 3 / 2;

bool EndsBefore(std::string_view end, std::string_view key) { return !end.empty() && end < key; }

// Whether `end` lets a range go at least as far as `other` does.
bool EndsNoEarlier(std::string_view end, std::string_view other) {
  return end.empty() || (!other.empty() && end >= other);
}

bool IsEmptyRange(std::string_view begin, std::string_view end) {
  return !end.empty() && begin >= end;
}

}  // namespace

size_t ReadSet::RangeMap::BytesOf(const Map::value_type& range) {
  return kRangeBytes + HeapBytes(range.first) + HeapBytes(range.second);
}

bool ReadSet::RangeMap::ExtendLast(std::string_view begin, std::string_view end) {
  if (last_ == ranges_.end() || begin < last_->first || EndsBefore(last_->second, begin)) {
    return false;
  }
  if (EndsNoEarlier(last_->second, end)) return true;
  const auto next = std::next(last_);
  if (next != ranges_.end() && !EndsBefore(end, next->first)) return false;
  memory_bytes_ -= BytesOf(*last_);
  last_->second.assign(end);
  memory_bytes_ += BytesOf(*last_);
  return true;
}

void ReadSet::RangeMap::Add(std::string_view begin, std::string_view end) {
  if (ExtendLast(begin, end) || CoversRange(begin, end)) return;
  // All ranges that overlap or touch become one.
  auto first = ranges_.upper_bound(begin);
  if (first != ranges_.begin() && !EndsBefore(std::prev(first)->second, begin)) --first;
  std::string joined_begin(begin);
  std::string joined_end(end);
  auto last = first;
  for (; last != ranges_.end() && !EndsBefore(joined_end, last->first); ++last) {
    if (last->first < joined_begin) joined_begin = last->first;
    if (EndsNoEarlier(last->second, joined_end)) joined_end = last->second;
    memory_bytes_ -= BytesOf(*last);
  }
  ranges_.erase(first, last);
  last_ = ranges_.emplace(std::move(joined_begin), std::move(joined_end)).first;
  memory_bytes_ += BytesOf(*last_);
}

bool ReadSet::RangeMap::Covers(std::string_view key) const {
  const auto after = ranges_.upper_bound(key);
  if (after == ranges_.begin()) return false;
  const std::string& end = std::prev(after)->second;
  return end.empty() || key < end;
}

bool ReadSet::RangeMap::CoversRange(std::string_view begin, std::string_view end) const {
  const auto after = ranges_.upper_bound(begin);
  return after != ranges_.begin() && EndsNoEarlier(std::prev(after)->second, end);
}

void ReadSet::RangeMap::Join(size_t target) {
  if (memory_bytes_ <= target || ranges_.size() < 2) return;
  // The size of a gap, as a number read behind what all keys have in common.
  const size_t prefix = base::CommonPrefix(ranges_.begin()->first, std::prev(ranges_.end())->first);
  const auto position = [prefix](std::string_view key) {
    return KeyHead(key.substr(std::min(prefix, key.size())));
  };
  struct Gap {
    uint64_t size;
    size_t after;  // the range before it, by number
  };
  std::vector<Gap> gaps;
  for (auto at = ranges_.begin(), next = std::next(at); next != ranges_.end(); ++at, ++next) {
    gaps.push_back({position(next->first) - position(at->second), gaps.size()});
  }
  // A joined pair saves about the average range.
  const size_t average = memory_bytes_ / ranges_.size();
  const size_t excess = (memory_bytes_ - target) / average + 1;
  const size_t joins = std::min(gaps.size(), excess);
  std::nth_element(gaps.begin(), gaps.begin() + static_cast<ptrdiff_t>(joins - 1), gaps.end(),
                   [](const Gap& a, const Gap& b) { return a.size < b.size; });
  std::vector<bool> closed(gaps.size());
  for (size_t i = 0; i < joins; ++i) closed[gaps[i].after] = true;

  Map joined;
  size_t number = 0;
  bool open = false;
  for (auto& [begin, end] : ranges_) {
    if (open) {
      std::prev(joined.end())->second = std::move(end);
    } else {
      joined.emplace_hint(joined.end(), begin, std::move(end));
    }
    open = number < closed.size() && closed[number];
    ++number;
  }
  Replace(std::move(joined));
  Join(target);
}

void ReadSet::RangeMap::Replace(Map ranges) {
  ranges_ = std::move(ranges);
  last_ = ranges_.end();
  memory_bytes_ = 0;
  for (const auto& range : ranges_) memory_bytes_ += BytesOf(range);
}

void ReadSet::RangeMap::CoverAll() {
  Map all;
  all.emplace("", "");
  Replace(std::move(all));
}

bool ReadSet::RangeMap::ForEach(ReadMode mode, VisitRange visit) const {
  for (const auto& [begin, end] : ranges_) {
    if (!visit(begin, end, mode)) return false;
  }
  return true;
}

ReadSet::Tree& ReadSet::TreeAt(int tree) {
  SOP_CHECK(tree >= 0);
  if (tree >= tree_count()) trees_.resize(static_cast<size_t>(tree) + 1);
  auto& slot = trees_[static_cast<size_t>(tree)];
  if (slot == nullptr) slot = std::make_unique<Tree>();
  return *slot;
}

const ReadSet::Tree* ReadSet::FindTree(int tree) const {
  return tree >= 0 && tree < tree_count() ? trees_[static_cast<size_t>(tree)].get() : nullptr;
}

bool ReadSet::CoveredByRange(const Tree& tree, std::string_view key, ReadMode mode) {
  return tree.RangesOf(ReadMode::kItem).Covers(key) ||
         (mode == ReadMode::kKeyOnly && tree.RangesOf(ReadMode::kKeyOnly).Covers(key));
}

void ReadSet::AddPoint(int tree_handle, std::string_view key, ReadMode mode) {
  Tree& tree = TreeAt(tree_handle);
  if (CoveredByRange(tree, key, mode)) return;
  if (tree.many_points.empty()) {
    for (Point& point : tree.few_points) {
      if (point.key != key) continue;
      point.mode = std::max(point.mode, mode);
      return;
    }
    if (tree.few_points.size() < kInlinePoints) {
      tree.few_points.push_back({tree.keys.Copy(key), mode});
      return;
    }
    for (const Point& point : tree.few_points) tree.many_points.emplace(point.key, point.mode);
    tree.few_points.clear();
  }
  const auto at = tree.many_points.find(key);
  if (at == tree.many_points.end()) {
    tree.many_points.emplace(tree.keys.Copy(key), mode);
  } else {
    at->second = std::max(at->second, mode);
  }
}

void ReadSet::AddRange(int tree_handle, std::string_view begin, std::string_view end,
                       ReadMode mode) {
  if (IsEmptyRange(begin, end)) return;
  Tree& tree = TreeAt(tree_handle);
  if (mode == ReadMode::kKeyOnly && tree.RangesOf(ReadMode::kItem).CoversRange(begin, end)) return;
  tree.RangesOf(mode).Add(begin, end);
}

void ReadSet::AddCount(int tree_handle, std::string_view begin, std::string_view end,
                       uint64_t count) {
  if (IsEmptyRange(begin, end)) return;
  Tree& tree = TreeAt(tree_handle);
  // Counts are few; of many, those of a loop over a few ranges are among the last.
  const size_t first = tree.counts.size() - std::min(tree.counts.size(), kCountsCompared);
  for (size_t i = first; i < tree.counts.size(); ++i) {
    const Count& known = tree.counts[i];
    if (known.begin == begin && known.end == end && known.count == count) return;
  }
  tree.counts.push_back({std::string(begin), std::string(end), count});
  tree.count_bytes += HeapBytes(tree.counts.back().begin) + HeapBytes(tree.counts.back().end);
}

size_t ReadSet::Tree::PointBytes() const {
  // An entry of the hash table and its control byte.
  return keys.memory_bytes() + many_points.capacity() * (sizeof(PointMap::value_type) + 1);
}

size_t ReadSet::Tree::CountBytes() const { return count_bytes + counts.size() * sizeof(Count); }

size_t ReadSet::Tree::memory_bytes() const {
  return PointBytes() + CountBytes() + ranges[0].memory_bytes() + ranges[1].memory_bytes();
}

size_t ReadSet::memory_bytes() const {
  size_t bytes = 0;
  for (const auto& tree : trees_) {
    if (tree != nullptr) bytes += sizeof(Tree) + tree->memory_bytes();
  }
  return bytes;
}

// The points that no range covers, moved out and sorted.
std::vector<ReadSet::Point> ReadSet::TakeUncoveredPoints(Tree& tree) {
  std::vector<Point> points;
  const auto take = [&](std::string_view key, ReadMode mode) {
    if (!CoveredByRange(tree, key, mode)) points.push_back({key, mode});
  };
  for (const Point& point : tree.few_points) take(point.key, point.mode);
  for (const auto& [key, mode] : tree.many_points) take(key, mode);
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a.key < b.key; });
  tree.few_points.clear();
  tree.many_points = PointMap();
  return points;
}

absl::Status ReadSet::CoarsenPoints(int tree_handle, LeafRangeOf leaf_range_of) {
  Tree& tree = TreeOf(tree_handle);
  const Arena keys = std::exchange(tree.keys, Arena());
  const std::vector<Point> points = TakeUncoveredPoints(tree);
  for (size_t i = 0; i < points.size(); ++i) {
    // Earlier leaves cover most of the others.
    if (CoveredByRange(tree, points[i].key, points[i].mode)) continue;
    const absl::StatusOr<KeyRange> leaf = leaf_range_of(tree_handle, points[i].key);
    if (!leaf.ok()) {
      for (; i < points.size(); ++i) AddPoint(tree_handle, points[i].key, points[i].mode);
      return leaf.status();
    }
    SOP_CHECK(leaf->begin <= points[i].key && (leaf->end.empty() || points[i].key < leaf->end));
    if (base::HasSeededBug("budget_loses_coverage")) continue;
    AddRange(tree_handle, leaf->begin, leaf->end, points[i].mode);
  }
  return absl::OkStatus();
}

void ReadSet::DropCoveredPoints(int tree_handle) {
  Tree& tree = TreeOf(tree_handle);
  if (tree.ranges[0].empty() && tree.ranges[1].empty()) return;
  const Arena keys = std::exchange(tree.keys, Arena());
  for (const Point& point : TakeUncoveredPoints(tree)) {
    AddPoint(tree_handle, point.key, point.mode);
  }
}

void ReadSet::CoarsenCounts(Tree& tree) {
  for (const Count& count : tree.counts) {
    if (tree.RangesOf(ReadMode::kItem).CoversRange(count.begin, count.end)) continue;
    tree.RangesOf(ReadMode::kKeyOnly).Add(count.begin, count.end);
  }
  tree.counts = {};
  tree.count_bytes = 0;
}

// Each step visits all trees, so that none is coarsened further than its neighbours.
absl::Status ReadSet::Coarsen(LeafRangeOf leaf_range_of) {
  const size_t target = budget_bytes_ / 2;
  std::vector<int> used;
  for (int i = 0; i < tree_count(); ++i) {
    if (FindTree(i) != nullptr) used.push_back(i);
  }
  const auto fits = [&] { return memory_bytes() <= target; };
  for (size_t i = 0; i < used.size() && !fits(); ++i) DropCoveredPoints(used[i]);
  // The largest first: small trees often keep their points.
  std::sort(used.begin(), used.end(),
            [&](int a, int b) { return FindTree(a)->PointBytes() > FindTree(b)->PointBytes(); });
  for (size_t i = 0; i < used.size() && !fits(); ++i) {
    SOP_RETURN_IF_ERROR(CoarsenPoints(used[i], leaf_range_of));
  }
  for (size_t i = 0; i < used.size() && !fits(); ++i) CoarsenCounts(TreeOf(used[i]));
  if (fits()) return absl::OkStatus();

  // Every map of ranges gives the same part of what it has.
  size_t range_bytes = 0;
  for (const int tree : used) range_bytes += TreeOf(tree).memory_bytes();
  const size_t excess = memory_bytes() - target;
  const double kept = excess >= range_bytes
                          ? 0
                          : 1 - static_cast<double>(excess) / static_cast<double>(range_bytes);
  for (const int tree : used) {
    for (RangeMap& ranges : TreeOf(tree).ranges) {
      ranges.Join(static_cast<size_t>(static_cast<double>(ranges.memory_bytes()) * kept));
    }
  }
  for (size_t i = 0; i < used.size() && !fits(); ++i) {
    for (RangeMap& ranges : TreeOf(used[i]).ranges) {
      if (!ranges.empty()) ranges.CoverAll();
    }
  }
  return absl::OkStatus();
}

bool ReadSet::Covers(int tree_handle, std::string_view key, ReadMode mode) const {
  const Tree* const tree = FindTree(tree_handle);
  if (tree == nullptr) return false;
  if (CoveredByRange(*tree, key, mode)) return true;
  for (const Point& point : tree->few_points) {
    if (point.key == key) return point.mode >= mode;
  }
  const auto at = tree->many_points.find(key);
  return at != tree->many_points.end() && at->second >= mode;
}

bool ReadSet::empty() const {
  return std::all_of(trees_.begin(), trees_.end(), [](const auto& tree) {
    return tree == nullptr ||
           (tree->few_points.empty() && tree->many_points.empty() && tree->ranges[0].empty() &&
            tree->ranges[1].empty() && tree->counts.empty());
  });
}

bool ReadSet::ForEachPoint(int tree_handle, VisitPoint visit) const {
  const Tree* const tree = FindTree(tree_handle);
  if (tree == nullptr) return true;
  for (const Point& point : tree->few_points) {
    if (!visit(point.key, point.mode)) return false;
  }
  for (const auto& [key, mode] : tree->many_points) {
    if (!visit(key, mode)) return false;
  }
  return true;
}

bool ReadSet::ForEachRange(int tree_handle, VisitRange visit) const {
  const Tree* const tree = FindTree(tree_handle);
  return tree == nullptr ||
         (tree->RangesOf(ReadMode::kKeyOnly).ForEach(ReadMode::kKeyOnly, visit) &&
          tree->RangesOf(ReadMode::kItem).ForEach(ReadMode::kItem, visit));
}

bool ReadSet::ForEachCount(int tree_handle, VisitCount visit) const {
  const Tree* const tree = FindTree(tree_handle);
  if (tree == nullptr) return true;
  for (const Count& count : tree->counts) {
    if (!visit(count.begin, count.end, count.count)) return false;
  }
  return true;
}

}  // namespace sop::txn
