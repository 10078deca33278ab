#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/scaling/numbered_store.h"
#include "tests/bench/scaling/scaling.h"

namespace sop::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kValueBytes = 10 << 10;
constexpr uint64_t kPageBytes = 1 << 20;

double Milliseconds(const std::function<void()>& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Every item once, as the pages of a scan have them.
void ReadAll(catalog::OrderedStore& store, catalog::ItemContent content, uint64_t items) {
  catalog::ScanRequest request;
  request.content = content;
  const auto scan = Value(store.Scan(request));
  const bool values = content != catalog::ItemContent::kKeys;
  const uint8_t columns =
      btree::PageColumns::kKeys | (values ? btree::PageColumns::kValues : uint8_t{0});
  uint64_t found = 0;
  uint64_t bytes = 0;
  for (bool end = false; !end;) {
    btree::PackedPageBuilder page(columns, {.max_size_bytes = 2 * kPageBytes});
    const catalog::PageEnd filled = Value(scan->FillPacked({.max_size_bytes = kPageBytes}, &page));
    found += filled.items;
    bytes += page.size_bytes();
    end = filled.end;
  }
  Require(found == items && (!values || bytes > items * kValueBytes), "a scan that is wrong");
}

// Bytes per second of a file that is written in `parts` of 256 KiB, synced, and of one read.
struct FileRates {
  double written = 0;
  double read = 0;
};
FileRates MeasureFile(const std::string& path, const std::string& value) {
  FileRates rates;
  const double megabytes = static_cast<double>(value.size()) / 1e6;
  constexpr size_t kPart = 256 << 10;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  Require(fd >= 0, "open " + path);
  rates.written = megabytes / Milliseconds([&] {
                    for (size_t at = 0; at < value.size(); at += kPart) {
                      const size_t size = std::min(kPart, value.size() - at);
                      Require(::pwrite(fd, value.data() + at, size, static_cast<off_t>(at)) ==
                                  static_cast<ssize_t>(size),
                              "write " + path);
                    }
                    Require(::fdatasync(fd) == 0, "sync " + path);
                  });
  std::string part(kPart, 0);
  rates.read =
      megabytes / Milliseconds([&] {
        for (size_t at = 0; at < value.size(); at += kPart) {
          Require(::pread(fd, part.data(), kPart, static_cast<off_t>(at)) > 0, "read " + path);
        }
      });
  ::close(fd);
  return rates;
}

FileRates MeasureValue(NumberedStore& numbered, int64_t key, const std::string& value) {
  FileRates rates;
  const double megabytes = static_cast<double>(value.size()) / 1e6;
  rates.written =
      megabytes / Milliseconds([&] {
        numbered.Write([&](catalog::OrderedStore& store) {
          catalog::WriteItem item{.key = key};
          if (value.size() > persistence::kMaxWholeValueBytes) {
            const auto tree =
                store.store().transaction().tree_id(store.store().tree(catalog::kItemsRole));
            auto staged = Value(numbered.database().engine().StageValue(tree.value()));
            Require(staged->Append(value).ok() && staged->Seal().ok(), "a value is staged");
            item.staged = std::move(staged);
          } else {
            item.value = value;
          }
          Value(store.Upsert({&item, 1}));
        });
      });
  rates.read = megabytes / Milliseconds([&] {
                 numbered.Read([&](catalog::OrderedStore& store) {
                   const auto stored = Value(store.FindValue(key, std::nullopt));
                   uint64_t at = 0;
                   while (at < value.size()) at += Value(store.ReadPart(*stored, at)).size();
                 });
               });
  return rates;
}

}  // namespace

void MeasureKeysAlone(const ScalingRun& run) {
  NumberedStore numbered(EmptyFolder(run.scale, "keys-alone"), std::string(kValueBytes, 'v'));
  const uint64_t items = run.most_items / 100;
  numbered.Grow(items);
  numbered.Settle();
  std::vector<double> keys;
  std::vector<double> values;
  uint64_t read_by_keys = 0;
  uint64_t read_by_values = 0;
  for (int round = 0; round < std::max(5, run.scale.slices); ++round) {
    numbered.Read([&](catalog::OrderedStore& store) {
      const uint64_t before = numbered.Statistic("values_read_count");
      keys.push_back(Milliseconds([&] { ReadAll(store, catalog::ItemContent::kKeys, items); }));
      const uint64_t between = numbered.Statistic("values_read_count");
      values.push_back(Milliseconds([&] { ReadAll(store, catalog::ItemContent::kItems, items); }));
      read_by_keys += between - before;
      read_by_values += numbered.Statistic("values_read_count") - between;
    });
  }
  ReportLine("keys alone", {{"items", items},
                            {"value bytes", kValueBytes},
                            {"keys ms", Median(keys)},
                            {"keys and values ms", Median(values)},
                            {"times as fast", Median(values) / Median(keys)},
                            {"values read for keys", read_by_keys},
                            {"values read for values", read_by_values}});
}

void MeasureLarge(const ScalingRun& run) {
  const std::string folder = EmptyFolder(run.scale, "large");
  NumberedStore numbered(folder + "/db", "v");
  numbered.Grow(1);
  for (const uint64_t size :
       {64u << 10, 256u << 10, 1u << 20, (1u << 20) + 1, 4u << 20, 64u << 20}) {
    std::string value(size, 0);
    for (size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 2654435761u >> 13);
    std::vector<double> cells[4];
    const int rounds = size > (16u << 20) ? 5 : 15;
    for (int round = 0; round < rounds; ++round) {
      const FileRates ours = MeasureValue(numbered, round, value);
      const FileRates file = MeasureFile(folder + "/file", value);
      cells[0].push_back(1e3 * ours.written);
      cells[1].push_back(ours.written / file.written);
      cells[2].push_back(1e3 * ours.read);
      cells[3].push_back(ours.read / file.read);
    }
    ReportLine("large", {{"value bytes", size},
                         {"written MB/s", Median(cells[0])},
                         {"of a synced file", Median(cells[1])},
                         {"read MB/s", Median(cells[2])},
                         {"of reading a file", Median(cells[3])}});
  }
}

}  // namespace sop::bench
