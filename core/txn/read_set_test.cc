#include "core/txn/read_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/txn/test_seed.h"

namespace sop::txn {
namespace {

constexpr size_t kLarge = size_t{16} << 20;
constexpr auto kItem = ReadMode::kItem;
constexpr auto kKeyOnly = ReadMode::kKeyOnly;

// "[begin,end)" for each range, with k for kKeyOnly and i for kItem.
std::string Ranges(const ReadSet& set, int tree) {
  std::string out;
  set.ForEachRange(tree, [&](std::string_view begin, std::string_view end, ReadMode mode) {
    out.append("[").append(begin).append(",").append(end).append(")");
    out.append(mode == kItem ? "i" : "k");
    return true;
  });
  return out;
}

int PointCount(const ReadSet& set, int tree) {
  int count = 0;
  set.ForEachPoint(tree, [&](std::string_view, ReadMode) {
    ++count;
    return true;
  });
  return count;
}

absl::StatusOr<KeyRange> NoLeaves(int, std::string_view) {
  return Error(Reason::kInternal, "no leaf range was to be asked for");
}

TEST(ReadSetTest, RepeatedPointIsKeptOnceWithTheStrongerMode) {
  for (const int others : {0, 5, 40}) {
    ReadSet set(kLarge);
    for (int i = 0; i < others; ++i) set.AddPoint(0, std::to_string(i), kKeyOnly);
    set.AddPoint(0, "a", kKeyOnly);
    set.AddPoint(0, "a", kKeyOnly);
    EXPECT_FALSE(set.Covers(0, "a", kItem));
    set.AddPoint(0, "a", kItem);
    set.AddPoint(0, "a", kKeyOnly);
    EXPECT_TRUE(set.Covers(0, "a", kItem));
    EXPECT_FALSE(set.Covers(1, "a", kKeyOnly));
    EXPECT_EQ(PointCount(set, 0), others + 1);
  }
}

TEST(ReadSetTest, TouchingAndOverlappingRangesBecomeOne) {
  ReadSet set(kLarge);
  EXPECT_TRUE(set.empty());
  set.AddRange(0, "d", "e", kItem);
  set.AddRange(0, "b", "c", kItem);
  EXPECT_EQ(Ranges(set, 0), "[b,c)i[d,e)i");
  set.AddRange(0, "c", "cc", kItem);
  EXPECT_EQ(Ranges(set, 0), "[b,cc)i[d,e)i");
  set.AddRange(0, "bb", "d", kItem);
  EXPECT_EQ(Ranges(set, 0), "[b,e)i");
  set.AddRange(0, "g", "", kItem);
  set.AddRange(0, "f", "h", kItem);
  EXPECT_EQ(Ranges(set, 0), "[b,e)i[f,)i");
  set.AddRange(0, "z", "y", kItem);
  set.AddRange(0, "c", "d", kKeyOnly);
  EXPECT_EQ(Ranges(set, 0), "[b,e)i[f,)i");
  set.AddRange(0, "a", "c", kKeyOnly);
  EXPECT_EQ(Ranges(set, 0), "[a,c)k[b,e)i[f,)i");
  set.AddRange(0, "", "", kItem);
  EXPECT_EQ(Ranges(set, 0), "[a,c)k[,)i");
}

TEST(ReadSetTest, ScansInEitherDirectionStayOneRange) {
  ReadSet set(kLarge);
  const auto key = [](int i) { return "key" + std::to_string(100'000 + i); };
  for (int i = 0; i < 50'000; ++i) set.AddRange(0, key(i), key(i + 1), kItem);
  for (int i = 50'000; i > 0; --i) set.AddRange(1, key(i - 1), key(i), kItem);
  EXPECT_EQ(Ranges(set, 0), "[key100000,key150000)i");
  EXPECT_EQ(Ranges(set, 1), "[key100000,key150000)i");
  EXPECT_LT(set.memory_bytes(), 4'000u);
}

TEST(ReadSetTest, PointInsideARangeIsNotKept) {
  ReadSet set(kLarge);
  set.AddRange(0, "b", "d", kKeyOnly);
  set.AddPoint(0, "c", kKeyOnly);
  EXPECT_EQ(PointCount(set, 0), 0);
  set.AddPoint(0, "c", kItem);
  set.AddPoint(0, "d", kKeyOnly);
  EXPECT_EQ(PointCount(set, 0), 2);
}

TEST(ReadSetTest, RepeatedCountIsKeptOnce) {
  ReadSet set(kLarge);
  for (int i = 0; i < 100; ++i) {
    set.AddCount(0, "a", "b", 7);
    set.AddCount(0, "b", "", 8);
  }
  std::vector<std::tuple<std::string, std::string, uint64_t>> counts;
  EXPECT_TRUE(set.ForEachCount(0, [&](std::string_view begin, std::string_view end, uint64_t n) {
    counts.emplace_back(begin, end, n);
    return true;
  }));
  const decltype(counts) expected = {{"a", "b", 7}, {"b", "", 8}};
  EXPECT_EQ(counts, expected);
  EXPECT_FALSE(set.empty());
}

TEST(ReadSetTest, VisitingStopsWhenAsked) {
  ReadSet set(kLarge);
  for (int i = 0; i < 100; ++i) set.AddPoint(0, std::to_string(i), kItem);
  int visited = 0;
  EXPECT_FALSE(set.ForEachPoint(0, [&](std::string_view, ReadMode) { return ++visited < 3; }));
  EXPECT_EQ(visited, 3);
}

TEST(ReadSetTest, CoarsenDropsCoveredPointsBeforeItAsksForLeaves) {
  ReadSet set(40'000);
  for (int i = 0; i < 1'000; ++i) set.AddPoint(0, "key" + std::to_string(i), kItem);
  EXPECT_TRUE(set.over_budget());
  set.AddRange(0, "k", "l", kItem);
  ASSERT_TRUE(set.Coarsen(NoLeaves).ok());
  EXPECT_EQ(Ranges(set, 0), "[k,l)i");
  EXPECT_EQ(PointCount(set, 0), 0);
  EXPECT_FALSE(set.over_budget());
}

TEST(ReadSetTest, CoarsenJoinsTheNearestRanges) {
  ReadSet set(40'000);
  const auto key = [](int i) { return "prefix" + std::to_string(1'000'000 + i); };
  // Pairs of neighbours, far from the next pair.
  for (int i = 0; i < 300; ++i) {
    set.AddRange(0, key(i * 1000), key(i * 1000 + 1), kItem);
    set.AddRange(0, key(i * 1000 + 2), key(i * 1000 + 3), kItem);
  }
  EXPECT_TRUE(set.over_budget());
  ASSERT_TRUE(set.Coarsen(NoLeaves).ok());
  EXPECT_LE(set.memory_bytes(), 20'000u);
  int covered_inside = 0;
  for (int i = 0; i < 300; ++i) covered_inside += set.Covers(0, key(i * 1000 + 1), kItem) ? 1 : 0;
  EXPECT_EQ(covered_inside, 300);
}

TEST(ReadSetTest, OneRangeTooLongForTheBudgetCoversTheWholeTree) {
  ReadSet set(6'000);
  set.AddRange(0, std::string(4'000, 'a'), std::string(4'000, 'b'), kItem);
  set.AddPoint(1, "c", kItem);
  ASSERT_TRUE(set.Coarsen([](int, std::string_view) -> absl::StatusOr<KeyRange> {
                   return KeyRange{"b", "d"};
                 })
                  .ok());
  EXPECT_EQ(Ranges(set, 0), "[,)i");
  EXPECT_TRUE(set.Covers(1, "c", kItem));
  EXPECT_LE(set.memory_bytes(), 3'000u);
}

TEST(ReadSetTest, FailureToFindALeafLosesNothing) {
  ReadSet set(40'000);
  const auto key = [](int i) { return "key" + std::to_string(100'000 + i); };
  for (int i = 0; i < 2'000; ++i) set.AddPoint(0, key(i), kItem);
  int calls = 0;
  const absl::Status status =
      set.Coarsen([&](int, std::string_view wanted) -> absl::StatusOr<KeyRange> {
        if (++calls == 100) return Error(Reason::kUnavailable, "no leaf now");
        return KeyRange{std::string(wanted), std::string(wanted) + "~"};
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  for (int i = 0; i < 2'000; ++i) ASSERT_TRUE(set.Covers(0, key(i), kItem));
}

// Every key of up to four letters behind a prefix, and what was read of each.
class OracleRun {
 public:
  OracleRun(uint64_t seed, size_t budget)
      : random_(seed),
        budget_(budget),
        prefix_(Below(2) == 0 ? "" : std::string(40, 'p')),
        set_(budget) {
    for (int size = 0; size <= 4; ++size) AddKeys(prefix_, size);
    for (Tree& tree : trees_) {
      for (auto& read : tree.read) read.resize(keys_.size());
    }
    const std::vector<std::string> sorted(keys_.begin(), keys_.end());
    keys_by_number_ = sorted;
  }

  void Step() {
    const int tree = static_cast<int>(Below(trees_.size()));
    const ReadMode mode = Below(2) == 0 ? kItem : kKeyOnly;
    const size_t a = Below(keys_by_number_.size());
    // Not the first key, which without a prefix is empty: as an end that means no bound.
    const size_t count = keys_by_number_.size();
    const size_t b = 1 + (Below(3) == 0 ? Below(count) : std::min(a + Below(4), count - 1));
    switch (Below(8)) {
      case 0:
        set_.AddRange(tree, Key(a), Key(b), mode);
        Mark(tree, a, b, mode);
        break;
      case 1:
        set_.AddCount(tree, Key(a), Key(b), a + b);
        if (a < b) trees_[tree].counts.push_back({a, b});
        break;
      default:
        set_.AddPoint(tree, Key(a), mode);
        Mark(tree, a, a + 1, mode);
    }
    if (!set_.over_budget()) return;
    ++coarsened_;
    const absl::Status status = set_.Coarsen(
        [&](int leaf_tree, std::string_view key) { return LeafRangeOf(leaf_tree, key); });
    if (status.ok()) {
      ASSERT_LE(set_.memory_bytes(), budget_ / 2);
    } else {
      ASSERT_EQ(ReasonOf(status), Reason::kUnavailable);
    }
    Check();
  }

  // Everything that was read is covered; nothing else is, until something was coarsened.
  void Check() {
    for (int tree = 0; tree < static_cast<int>(trees_.size()); ++tree) {
      CheckShape(tree);
      for (const ReadMode mode : {kItem, kKeyOnly}) {
        for (size_t i = 0; i < keys_by_number_.size(); ++i) {
          const bool read = Read(tree, i, mode);
          const bool covered = set_.Covers(tree, Key(i), mode);
          ASSERT_TRUE(covered || !read) << tree << " " << i;
          ASSERT_TRUE(coarsened_ > 0 || covered == read) << tree << " " << i;
        }
      }
      for (const auto& count : trees_[tree].counts) CheckCount(tree, count.first, count.second);
    }
  }

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }
  int coarsened() const { return coarsened_; }

 private:
  struct Tree {
    std::array<std::vector<bool>, 2> read;  // by mode, by number of key
    std::vector<std::pair<size_t, size_t>> counts;
  };

  void AddKeys(const std::string& start, int letters) {
    if (letters == 0) {
      keys_.insert(start);
      return;
    }
    for (const char letter : {'\0', 'a', 'b'}) AddKeys(start + letter, letters - 1);
  }

  // The key of a number; behind the last one, no bound.
  std::string Key(size_t number) const {
    return number < keys_by_number_.size() ? keys_by_number_[number] : "";
  }

  void Mark(int tree, size_t begin, size_t end, ReadMode mode) {
    for (size_t i = begin; i < end; ++i) trees_[tree].read[static_cast<size_t>(mode)][i] = true;
  }

  bool Read(int tree, size_t key, ReadMode mode) const {
    const auto& read = trees_[tree].read;
    return read[static_cast<size_t>(kItem)][key] ||
           (mode == kKeyOnly && read[static_cast<size_t>(kKeyOnly)][key]);
  }

  // Leaves of seven keys; sometimes the disk fails.
  absl::StatusOr<KeyRange> LeafRangeOf(int, std::string_view key) {
    if (Below(300) == 0) return Error(Reason::kUnavailable, "fault of the test");
    const auto at = std::lower_bound(keys_by_number_.begin(), keys_by_number_.end(), key);
    const size_t number = static_cast<size_t>(at - keys_by_number_.begin());
    const size_t begin = number / 7 * 7;
    return KeyRange{begin == 0 ? "" : Key(begin), Key(begin + 7)};
  }

  void CheckShape(int tree) {
    std::array<bool, 2> any = {};
    std::array<std::string, 2> last_end;
    set_.ForEachRange(tree, [&](std::string_view begin, std::string_view end, ReadMode mode) {
      const auto m = static_cast<size_t>(mode);
      EXPECT_TRUE(end.empty() || begin < end);
      EXPECT_TRUE(!any[m] || (!last_end[m].empty() && last_end[m] < begin));
      any[m] = true;
      last_end[m] = end;
      return true;
    });
  }

  void CheckCount(int tree, size_t begin, size_t end) {
    const bool kept = !set_.ForEachCount(
        tree, [&](std::string_view count_begin, std::string_view count_end, uint64_t count) {
          return count_begin != Key(begin) || count_end != Key(end) || count != begin + end;
        });
    if (kept) return;
    for (size_t i = begin; i < end; ++i) ASSERT_TRUE(set_.Covers(tree, Key(i), kKeyOnly));
  }

  base::SeededRandom random_;
  const size_t budget_;
  const std::string prefix_;
  std::set<std::string> keys_;
  std::vector<std::string> keys_by_number_;
  std::array<Tree, 2> trees_;
  ReadSet set_;
  int coarsened_ = 0;
};

TEST(ReadSetTest, CoversEverythingEverAddedWhateverTheBudget) {
  int coarsened = 0;
  constexpr std::array<size_t, 4> kBudgets = {4'400, 6'000, 12'000, kLarge};
  for (uint64_t round = 0; round < 1'000; ++round) {
    const size_t budget = kBudgets[round % kBudgets.size()];
    const uint64_t seed = TestSeed(round);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", budget " << budget);
    OracleRun run(seed, budget);
    for (int i = 0; i < 400 && !testing::Test::HasFatalFailure(); ++i) run.Step();
    run.Check();
    coarsened += run.coarsened();
    EXPECT_TRUE(budget < kLarge || run.coarsened() == 0);
  }
  EXPECT_GT(coarsened, 1'000);
}

}  // namespace
}  // namespace sop::txn
