#include "clients/cli/bench/load_run.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "clients/cli/session/failure.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/status_macros.h"

namespace sop::cli {
namespace {

constexpr int64_t kFillBatch = 1000;
constexpr uint64_t kFillBytes = uint64_t{1} << 20;
constexpr int kMostTries = 1000;

absl::Duration Now() { return base::SystemClock().Monotonic(); }

// One client's part of the load. Confined to one thread.
class ClientLoad {
 public:
  ClientLoad(const LoadOptions& options, int number)
      : options_(options),
        client_(options.client),
        random_(options.seed * 1'000'003 + static_cast<uint64_t>(number)),
        number_(number) {}

  // Calls that are due between `start` and `end`.
  void Run(absl::Duration start, absl::Duration end) {
    const absl::Duration period =
        options_.rate > 0 ? absl::Seconds(options_.clients / options_.rate) : absl::ZeroDuration();
    absl::Duration due = start + period * number_ / options_.clients;
    for (;; due += period) {
      const absl::Duration now = Now();
      if (options_.rate <= 0) due = now;
      if (due >= end || now >= end) return;
      if (now < due) absl::SleepFor(due - now);
      Call(due);
    }
  }

  const std::array<CallFigures, kCallKinds.size()>& figures() const { return figures_; }

 private:
  void Call(absl::Duration due) {
    const CallKind kind = options_.mix.Choose(random_.Next64());
    CallFigures& figures = figures_[static_cast<size_t>(kind)];
    const absl::StatusOr<uint64_t> items = Do(kind, &figures);
    if (items.ok()) {
      figures.latency.Add(Now() - due);
      figures.items += *items;
      return;
    }
    const Failure failure = DescribeFailure(items.status());
    ++figures
          .failures[failure.reason.empty() ? failure.code : failure.code + " / " + failure.reason];
    if (failure.code == "UNAVAILABLE") absl::SleepFor(absl::Milliseconds(20));
  }

  absl::StatusOr<uint64_t> Do(CallKind kind, CallFigures* figures) {
    switch (kind) {
      case CallKind::kGet:
        DrawKeys(options_.batch);
        SOP_RETURN_IF_ERROR(client_.Get(keys_).status());
        return keys_.size();
      case CallKind::kPut:
        DrawKeys(options_.batch);
        SOP_RETURN_IF_ERROR(client_.Put(DrawItems()));
        return keys_.size();
      case CallKind::kScan:
        DrawKeys(1);
        return client_.Scan(keys_[0], options_.scan_items);
      case CallKind::kTransaction:
        DrawKeys(2);
        return Transact(figures);
    }
    return absl::InternalError("a kind of call that nobody knows");
  }

  // Reads two items and writes both, again until it commits.
  absl::StatusOr<uint64_t> Transact(CallFigures* figures) {
    for (int tries = 0;; ++tries) {
      SOP_ASSIGN_OR_RETURN(const std::string transaction, client_.Begin());
      absl::Status status = client_.Get(keys_, transaction).status();
      if (status.ok()) status = client_.Put(DrawItems(), transaction);
      if (status.ok()) {
        status = client_.Commit(transaction);
      } else {
        client_.Rollback(transaction);
      }
      if (status.ok()) return 2 * keys_.size();
      if (!absl::IsAborted(status) || tries == kMostTries) return status;
      ++figures->repeated;
    }
  }

  void DrawKeys(uint32_t count) {
    keys_.clear();
    for (uint32_t i = 0; i < count; ++i) {
      keys_.push_back(
          static_cast<int64_t>(random_.Next64() % static_cast<uint64_t>(options_.items)));
    }
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
  }

  std::vector<BenchClient::Pair> DrawItems() {
    if (value_.size() != options_.value_bytes) value_.resize(options_.value_bytes, 'v');
    const uint64_t mark = random_.Next64();
    for (size_t i = 0; i < sizeof mark && i < value_.size(); ++i) {
      value_[i] = static_cast<char>(mark >> (8 * i));
    }
    std::vector<BenchClient::Pair> items;
    for (const int64_t key : keys_) items.push_back({key, value_});
    return items;
  }

  const LoadOptions& options_;
  BenchClient client_;
  base::SeededRandom random_;
  const int number_;
  std::array<CallFigures, kCallKinds.size()> figures_;
  std::vector<int64_t> keys_;
  std::string value_;
};

void Add(const CallFigures& part, CallFigures* sum) {
  sum->latency.Merge(part.latency);
  sum->items += part.items;
  sum->repeated += part.repeated;
  for (const auto& [reason, times] : part.failures) sum->failures[reason] += times;
}

}  // namespace

absl::Status FillStore(const LoadOptions& options) {
  BenchClient client(options.client);
  SOP_RETURN_IF_ERROR(client.CreateStore());
  SOP_ASSIGN_OR_RETURN(const uint64_t there, client.Count());
  if (there == static_cast<uint64_t>(options.items)) return absl::OkStatus();
  const std::string value(options.value_bytes, 'v');
  const auto batch = std::clamp<int64_t>(
      static_cast<int64_t>(kFillBytes / (options.value_bytes + 1)), 1, kFillBatch);
  std::vector<BenchClient::Pair> items;
  for (int64_t begin = 0; begin < options.items; begin += batch) {
    items.clear();
    for (int64_t key = begin; key < std::min(options.items, begin + batch); ++key) {
      items.push_back({key, value});
    }
    SOP_RETURN_IF_ERROR(client.Put(items));
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadFigures> RunLoad(const LoadOptions& options) {
  std::vector<std::unique_ptr<ClientLoad>> clients;
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<ClientLoad>(options, i));
  }
  const absl::Duration start = Now();
  std::vector<std::thread> threads;
  for (const auto& client : clients) {
    threads.emplace_back(
        [&client, start, end = start + options.duration] { client->Run(start, end); });
  }
  for (std::thread& thread : threads) thread.join();
  LoadFigures figures;
  figures.elapsed = Now() - start;
  uint64_t calls = 0;
  for (const auto& client : clients) {
    for (size_t kind = 0; kind < kCallKinds.size(); ++kind) {
      Add(client->figures()[kind], &figures.kinds[kind]);
    }
  }
  for (const CallFigures& kind : figures.kinds) calls += kind.latency.count();
  if (calls == 0) {
    return absl::UnavailableError("no call of the load succeeded; see the failures with sop ping");
  }
  return figures;
}

}  // namespace sop::cli
