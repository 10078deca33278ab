#include <algorithm>
#include <chrono>
#include <functional>
#include <string>

#include "core/base/random.h"
#include "tests/bench/scaling/numbered_store.h"
#include "tests/bench/scaling/scaling.h"

namespace sop::bench {
namespace {

constexpr uint64_t kPageItems = 100;

// What calls cost at random places, in microseconds: the best of the slices.
class Costs {
 public:
  Costs(const ScalingRun& run, catalog::OrderedStore& store, uint64_t items)
      : run_(run), store_(store), items_(items) {}

  // A page of kPageItems keys at a random offset, from that end.
  double Jump(catalog::ScanDirection direction) {
    return Best([&] { ReadPage(direction, Below(items_)); });
  }
  // The same page at the beginning.
  double FirstPage() {
    return Best([&] { ReadPage(catalog::ScanDirection::kForward, 0); });
  }
  double CountRange() {
    return Best([&] {
      uint64_t low = Below(items_);
      uint64_t high = Below(items_);
      if (low > high) std::swap(low, high);
      const btree::KeyRange range =
          Value(store_.schema()->EncodeRange(BoundAt(low), BoundAt(high)));
      Require(Value(store_.Count(range)) == high - low + 1, "a count that is wrong");
    });
  }

 private:
  static btree::KeyBound BoundAt(uint64_t number) {
    return {btree::Key(static_cast<int64_t>(number))};
  }
  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }

  void ReadPage(catalog::ScanDirection direction, uint64_t offset) {
    catalog::ScanRequest request;
    request.start = catalog::Offset{offset};
    request.direction = direction;
    request.content = catalog::ItemContent::kKeys;
    std::string first;
    const auto sink = [&](const btree::PackedItem& item) {
      if (first.empty()) first = std::string(item.key);
      return true;
    };
    const catalog::PageEnd end = Value(store_.ReadPage(request, {.max_items = kPageItems}, sink));
    const bool forward = direction == catalog::ScanDirection::kForward;
    const btree::Key expected = static_cast<int64_t>(forward ? offset : items_ - 1 - offset);
    Require(end.items == std::min(kPageItems, items_ - offset) &&
                first == Value(store_.schema()->Encode(expected)).key,
            "a page that is wrong");
  }

  double Best(const std::function<void()>& call) {
    using Clock = std::chrono::steady_clock;
    const auto slice = std::chrono::duration<double>(run_.scale.slice_seconds);
    for (int warm = 0; warm < 2000; ++warm) call();
    double best = 1e9;
    for (int i = 0; i < run_.scale.slices; ++i) {
      const auto begin = Clock::now();
      int calls = 0;
      do {
        for (int some = 0; some < 50; ++some) call();
        calls += 50;
      } while (Clock::now() - begin < slice);
      const std::chrono::duration<double, std::micro> taken = Clock::now() - begin;
      best = std::min(best, taken.count() / calls);
    }
    return best;
  }

  const ScalingRun& run_;
  catalog::OrderedStore& store_;
  const uint64_t items_;
  base::SeededRandom random_{20261127};
};

}  // namespace

void MeasurePaging(const ScalingRun& run) {
  NumberedStore paged(EmptyFolder(run.scale, "paging"), "a value of twenty-four b");
  for (uint64_t items = 10'000; items <= run.most_items; items *= 10) {
    paged.Grow(items);
    paged.Read([&](catalog::OrderedStore& store) {
      Costs costs(run, store, items);
      Cells cells = {{"items", items}};
      cells["first page us"] = costs.FirstPage();
      cells["jump to page us"] = costs.Jump(catalog::ScanDirection::kForward);
      cells["jump to page backward us"] = costs.Jump(catalog::ScanDirection::kBackward);
      cells["count of a range us"] = costs.CountRange();
      ReportLine("paging", cells);
    });
  }
}

}  // namespace sop::bench
