#include "clients/cli/bench/list_append_run.h"

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/status_macros.h"
#include "tests/history/append_checker.h"
#include "tests/history/append_history.h"

namespace sop::cli {
namespace {

using history::AppendHistory;
using history::Outcome;
using List = std::vector<uint32_t>;

constexpr uint32_t kMostOperations = 4;  // of a transaction
// After so many appends for each list in use others take their place, so that lists stay short.
constexpr uint32_t kAppendsOfList = 100;
constexpr size_t kValueBytes = 4;
constexpr uint32_t kListsOfRead = 1000;  // of a closing read
// Between two tries to reach a server that is away: it may be starting again.
constexpr absl::Duration kPause = absl::Milliseconds(20);

uint64_t Ticks() {
  return static_cast<uint64_t>(absl::ToInt64Nanoseconds(base::SystemClock().Monotonic()));
}

std::string BytesOf(const List& list) {
  std::string bytes;
  for (const uint32_t value : list) base::AppendLittle32(&bytes, value);
  return bytes;
}

absl::StatusOr<List> ListOf(const std::optional<std::string>& bytes) {
  List list;
  if (!bytes) return list;
  if (bytes->size() % kValueBytes != 0) {
    return absl::DataLossError("a list of the check holds bytes that nobody wrote");
  }
  for (size_t at = 0; at < bytes->size(); at += kValueBytes) {
    list.push_back(base::LoadLittle32(bytes->data() + at));
  }
  return list;
}

// What a failed transaction may have done. Before its commit was asked for: nothing.
Outcome OutcomeOf(const absl::Status& commit) {
  if (commit.ok()) return Outcome::kOk;
  return absl::IsUnavailable(commit) || absl::IsDeadlineExceeded(commit) ||
                 absl::IsCancelled(commit) || absl::IsInternal(commit) || absl::IsUnknown(commit)
             ? Outcome::kUnknown
             : Outcome::kFailed;
}

// One client and the history of what it did. Confined to one thread.
class ListClient {
 public:
  ListClient(const ListAppendOptions& options, uint32_t number, std::atomic<uint32_t>* appends)
      : options_(options),
        number_(number),
        appends_(*appends),
        client_(options.client),
        random_(options.seed * 1'000'003 + number) {}

  void Run(absl::Duration end) {
    while (base::SystemClock().Monotonic() < end) {
      const absl::Status status = Transact();
      if (OutcomeOf(status) != Outcome::kUnknown) continue;
      absl::SleepFor(kPause);
      client_.WaitForServer(end - base::SystemClock().Monotonic());
    }
  }

  // Reads lists [begin, end) into the history. A server that is away is waited for as long as a
  // call may take.
  absl::Status Close(uint32_t begin, uint32_t end) {
    std::vector<int64_t> keys;
    for (uint32_t list = begin; list < end; ++list) keys.push_back(list);
    const absl::Duration limit = base::SystemClock().Monotonic() + options_.client.timeout;
    auto read = client_.Get(keys);
    while (absl::IsUnavailable(read.status()) && base::SystemClock().Monotonic() < limit) {
      absl::SleepFor(kPause);
      client_.WaitForServer(limit - base::SystemClock().Monotonic());
      read = client_.Get(keys);
    }
    SOP_ASSIGN_OR_RETURN(const auto values, std::move(read));
    for (size_t i = 0; i < values.size(); ++i) {
      SOP_ASSIGN_OR_RETURN(const List list, ListOf(values[i]));
      history_.Close(begin + static_cast<uint32_t>(i), list);
    }
    return absl::OkStatus();
  }

  const AppendHistory& history() const { return history_; }
  uint64_t committed() const { return committed_; }
  uint64_t refused() const { return refused_; }
  uint64_t unknown() const { return unknown_; }

 private:
  // How its last call went.
  absl::Status Transact() {
    history_.Begin(number_, Ticks());
    const absl::StatusOr<std::string> transaction = client_.Begin();
    absl::Status status = transaction.status();
    const uint64_t operations = 1 + random_.Next64() % kMostOperations;
    for (uint64_t i = 0; i < operations && status.ok(); ++i) status = Operate(*transaction);
    if (!status.ok()) {
      if (transaction.ok()) client_.Rollback(*transaction);
      history_.End(Ticks(), Outcome::kFailed);
      ++refused_;
      return status;
    }
    status = client_.Commit(*transaction);
    const Outcome outcome = OutcomeOf(status);
    history_.End(Ticks(), outcome);
    ++(outcome == Outcome::kOk ? committed_ : outcome == Outcome::kFailed ? refused_ : unknown_);
    return status;
  }

  // Reads a list, or appends to it, which reads it too.
  absl::Status Operate(const std::string& transaction) {
    const uint64_t random = random_.Next64();
    const uint32_t window =
        appends_.load(std::memory_order_relaxed) / kAppendsOfList / options_.lists * options_.lists;
    const uint32_t number = window + static_cast<uint32_t>(random >> 8) % options_.lists;
    const int64_t key = number;
    SOP_ASSIGN_OR_RETURN(const auto values, client_.Get({&key, 1}, transaction));
    SOP_ASSIGN_OR_RETURN(List list, ListOf(values[0]));
    if (random % 2 == 0) {
      history_.Read(number, list);
      return absl::OkStatus();
    }
    const uint32_t value = 1 + appends_.fetch_add(1, std::memory_order_relaxed);
    list.push_back(value);
    history_.Append(number, value);
    const std::string bytes = BytesOf(list);
    const BenchClient::Pair item = {key, bytes};
    return client_.Put({&item, 1}, transaction);
  }

  const ListAppendOptions& options_;
  const uint32_t number_;
  std::atomic<uint32_t>& appends_;  // of all clients
  BenchClient client_;
  base::SeededRandom random_;
  AppendHistory history_;
  uint64_t committed_ = 0;
  uint64_t refused_ = 0;
  uint64_t unknown_ = 0;
};

}  // namespace

absl::StatusOr<ListAppendFigures> RunListAppend(const ListAppendOptions& options) {
  std::atomic<uint32_t> appends{0};
  std::vector<std::unique_ptr<ListClient>> clients;
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<ListClient>(options, static_cast<uint32_t>(i), &appends));
  }
  const absl::Duration start = base::SystemClock().Monotonic();
  std::vector<std::thread> threads;
  for (const auto& client : clients) {
    threads.emplace_back([&client, end = start + options.duration] { client->Run(end); });
  }
  for (std::thread& thread : threads) thread.join();
  ListAppendFigures figures;
  figures.elapsed = base::SystemClock().Monotonic() - start;
  const uint32_t lists = (appends / kAppendsOfList / options.lists + 1) * options.lists;
  for (uint32_t begin = 0; begin < lists; begin += kListsOfRead) {
    SOP_RETURN_IF_ERROR(clients[0]->Close(begin, std::min(lists, begin + kListsOfRead)));
  }
  AppendHistory history;
  for (const auto& client : clients) {
    history.Take(client->history());
    figures.committed += client->committed();
    figures.refused += client->refused();
    figures.unknown += client->unknown();
  }
  const history::Verdict verdict = history::CheckHistory(history);
  figures.dependencies = verdict.edges;
  figures.anomalies = verdict.Words();
  return figures;
}

}  // namespace sop::cli
