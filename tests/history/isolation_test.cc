// Clients that try to see what no order of transactions could show. SOP_SEED replays a run's
// choices (not its interleaving), SOP_TIMES multiplies how much is tried.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/txn/transaction_cursor.h"
#include "tests/history/engines_under_test.h"
#include "tests/history/history.h"

namespace sop::history {
namespace {

using txn::Mode;
using txn::ReadMode;
using txn::TreeSlot;

constexpr TreeId kTree{900'001};
constexpr int kClients = 6;

uint64_t NumberFrom(const char* variable) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

// One transaction with shorthands that abort the test on errors that cannot happen.
class Session {
 public:
  explicit Session(txn::Engine& engine, Mode mode = Mode::kReadWrite)
      : engine_(engine),
        transaction_(engine.Begin({mode})),
        tree_(transaction_->OpenTree(kTree, {4})) {}

  std::string Get(const std::string& key) {
    const auto item = transaction_->Get(tree_, key, ReadMode::kItem);
    EXPECT_TRUE(item.ok()) << item.status();
    return item.ok() && item->has_value() ? (*item)->value : std::string();
  }
  int64_t GetNumber(const std::string& key) {
    const std::string text = Get(key);
    return text.empty() ? 0 : std::stoll(text);
  }
  void Put(const std::string& key, const std::string& value) {
    txn::ItemWrite item;
    item.value = value;
    EXPECT_TRUE(transaction_->Put(tree_, key, item).ok());
  }
  void PutNumber(const std::string& key, int64_t number) { Put(key, fmt::format("{}", number)); }
  void Erase(const std::string& key) { EXPECT_TRUE(transaction_->Erase(tree_, key).ok()); }
  uint64_t Count(const std::string& begin, const std::string& end) {
    return transaction_->Count(tree_, begin, end).value();
  }
  // Keys and values of [begin, end).
  std::vector<std::pair<std::string, std::string>> Scan(const std::string& begin,
                                                        const std::string& end) {
    std::vector<std::pair<std::string, std::string>> found;
    auto cursor = transaction_->OpenCursor(tree_, ReadMode::kItem);
    EXPECT_TRUE(cursor->Seek(begin).ok());
    while (cursor->Valid() && cursor->key() < end) {
      found.emplace_back(cursor->key(), cursor->item().value);
      EXPECT_TRUE(cursor->Next().ok());
    }
    return found;
  }
  uint64_t read_version() const { return transaction_->read_version().value; }
  // The commit's version, or 0 if it was refused as a conflict.
  uint64_t Commit() {
    txn::CommitOptions options;
    options.durability = persistence::Durability::kRelaxed;
    const txn::CommitResult result =
        engine_.CommitAndWait(std::move(transaction_), std::move(options));
    if (result.status.ok()) return result.version.value;
    EXPECT_EQ(ReasonOf(result.status), Reason::kConflict) << result.status;
    return 0;
  }

 private:
  txn::Engine& engine_;
  std::shared_ptr<txn::Transaction> transaction_;
  const TreeSlot tree_;
};

class IsolationTest : public testing::TestWithParam<EngineKind> {
 protected:
  // Runs `body(client, engine, random)` in kClients threads, `times` times each.
  template <typename Body>
  void Run(int times, Body body) {
    std::vector<std::thread> threads;
    threads.reserve(kClients);
    for (int client = 0; client < kClients; ++client) {
      threads.emplace_back([&, client] {
        base::SeededRandom random(seed_ * 1000 + static_cast<uint64_t>(client));
        txn::Engine& engine = engines_->engine(client);
        for (int i = 0; i < times && !HasFailure(); ++i) body(client, engine, random);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(engines_->groups(), 0U);
  }
  static int TimesOf(EngineKind kind) { return kind == EngineKind::kRocksDb ? 400 : 2000; }
  int Times() const { return TimesOf(GetParam()) * static_cast<int>(NumberFrom("SOP_TIMES")); }

  const uint64_t seed_ = NumberFrom("SOP_SEED");
  const testing::ScopedTrace trace_{__FILE__, __LINE__, fmt::format("SOP_SEED={}", seed_)};
  const std::unique_ptr<EnginesUnderTest> engines_ = OpenEngines(GetParam());
};

TEST_P(IsolationTest, BankByScan) {
  constexpr int kAccounts = 12;
  constexpr int64_t kStart = 100;
  const auto account = [](uint64_t i) { return fmt::format("a{:02}", i); };
  {
    Session session(engines_->engine(0));
    for (uint64_t i = 0; i < kAccounts; ++i) session.PutNumber(account(i), kStart);
    ASSERT_NE(session.Commit(), 0U);
  }
  // A committer learns what another one appended when it appends itself.
  Session told(engines_->engine(1));
  told.PutNumber("told", 1);
  ASSERT_NE(told.Commit(), 0U);
  std::atomic<int> moved{0};
  Run(Times(), [&](int, txn::Engine& engine, base::Random& random) {
    const bool reads_only = random.Next64() % 3 == 0;
    Session session(engine, reads_only ? Mode::kReadOnly : Mode::kReadWrite);
    int64_t sum = 0;
    const auto accounts = session.Scan("a", "b");
    for (const auto& [key, value] : accounts) sum += std::stoll(value);
    EXPECT_EQ(sum, kAccounts * kStart);
    if (reads_only) return;
    const uint64_t from = random.Next64() % kAccounts;
    const uint64_t to = (from + 1) % kAccounts;
    session.PutNumber(account(from), std::stoll(accounts[from].second) - 1);
    session.PutNumber(account(to), std::stoll(accounts[to].second) + 1);
    if (session.Commit() != 0) ++moved;
  });
  EXPECT_GT(moved, 0);
}

// Of two switches at least one stays on: whoever turns one off has seen the other on.
TEST_P(IsolationTest, WriteSkew) {
  constexpr uint64_t kPairs = 6;
  Run(Times(), [&](int, txn::Engine& engine, base::Random& random) {
    const uint64_t pair = random.Next64() % kPairs;
    const std::string keys[] = {fmt::format("{}-x", pair), fmt::format("{}-y", pair)};
    Session session(engine);
    // Absent is on.
    const bool on[] = {session.Get(keys[0]).empty(), session.Get(keys[1]).empty()};
    EXPECT_TRUE(on[0] || on[1]) << "both are off";
    if (on[0] && on[1]) {
      session.Put(keys[random.Next64() % 2], "off");
    } else {
      session.Erase(keys[on[0] ? 1 : 0]);
    }
    session.Commit();
  });
}

// Two writers; whoever reads both must agree with every other reader on who came first.
TEST_P(IsolationTest, LongFork) {
  base::Mutex mu;
  std::vector<std::pair<int64_t, int64_t>> seen;
  Run(Times(), [&](int client, txn::Engine& engine, base::Random&) {
    if (client < 2) {
      Session session(engine);
      const std::string key = client == 0 ? "x" : "y";
      session.PutNumber(key, session.GetNumber(key) + 1);
      EXPECT_NE(session.Commit(), 0U) << "the only writer of its key";
      return;
    }
    Session session(engine, Mode::kReadOnly);
    const int64_t x = session.GetNumber("x");
    const int64_t y = session.GetNumber("y");
    base::MutexLock lock(mu);
    seen.emplace_back(x, y);
  });
  std::sort(seen.begin(), seen.end());
  for (size_t i = 1; i < seen.size(); ++i) {
    EXPECT_LE(seen[i - 1].second, seen[i].second)
        << "one saw x=" << seen[i - 1].first << " y=" << seen[i - 1].second
        << ", another x=" << seen[i].first << " y=" << seen[i].second;
  }
}

// No more than three of a kind: whoever adds one has counted, by scan or by Count.
TEST_P(IsolationTest, Phantom) {
  constexpr uint64_t kKinds = 5;
  constexpr uint64_t kMost = 3;
  std::atomic<int> added{0};
  Run(Times(), [&](int client, txn::Engine& engine, base::Random& random) {
    const uint64_t kind = random.Next64() % kKinds;
    const std::string begin = fmt::format("k{}-", kind);
    const std::string end = fmt::format("k{}.", kind);
    Session session(engine);
    const bool by_count = random.Next64() % 2 == 0;
    const auto items =
        by_count ? std::vector<std::pair<std::string, std::string>>() : session.Scan(begin, end);
    const uint64_t count = by_count ? session.Count(begin, end) : items.size();
    EXPECT_LE(count, kMost);
    if (count < kMost) {
      session.Put(fmt::format("{}{}-{}", begin, client, random.Next64() % 1000), "v");
    } else if (!by_count) {
      session.Erase(items[random.Next64() % items.size()].first);
    } else {
      return;
    }
    if (session.Commit() != 0) ++added;
  });
  EXPECT_GT(added, 0);
  for (int client = 0; client < 2; ++client) {
    Session session(engines_->engine(client), Mode::kReadOnly);
    for (uint64_t kind = 0; kind < kKinds; ++kind) {
      EXPECT_LE(session.Count(fmt::format("k{}-", kind), fmt::format("k{}.", kind)), kMost);
    }
  }
}

// Every node names the next one of one ring; three neighbours are put in another order. Whoever
// walks it passes every node once (the cycle workload of FoundationDB).
TEST_P(IsolationTest, Ring) {
  constexpr int64_t kNodes = 30;
  const auto node = [](int64_t i) { return fmt::format("n{:02}", i); };
  {
    Session session(engines_->engine(0));
    for (int64_t i = 0; i < kNodes; ++i) session.PutNumber(node(i), (i + 1) % kNodes);
    ASSERT_NE(session.Commit(), 0U);
  }
  Session told(engines_->engine(1));
  told.PutNumber("told", 1);
  ASSERT_NE(told.Commit(), 0U);
  std::atomic<int> turned{0};
  Run(Times() / 2, [&](int, txn::Engine& engine, base::Random& random) {
    const auto first = static_cast<int64_t>(random.Next64() % kNodes);
    if (random.Next64() % 4 == 0) {
      Session reader(engine, Mode::kReadOnly);
      int64_t at = first;
      int64_t steps = 0;
      do {
        at = reader.GetNumber(node(at));
        ++steps;
      } while (at != first && steps <= kNodes);
      EXPECT_EQ(steps, kNodes);
      return;
    }
    Session session(engine);
    const int64_t second = session.GetNumber(node(first));
    const int64_t third = session.GetNumber(node(second));
    session.PutNumber(node(second), session.GetNumber(node(third)));
    session.PutNumber(node(third), second);
    session.PutNumber(node(first), third);
    if (session.Commit() != 0) ++turned;
  });
  EXPECT_GT(turned, 0);
}

TEST_P(IsolationTest, ContiguousCounter) {
  base::Mutex mu;
  std::vector<int64_t> taken;
  Run(Times(), [&](int, txn::Engine& engine, base::Random&) {
    Session session(engine);
    const int64_t next = session.GetNumber("counter") + 1;
    session.PutNumber("counter", next);
    if (session.Commit() == 0) return;
    base::MutexLock lock(mu);
    taken.push_back(next);
  });
  std::sort(taken.begin(), taken.end());
  ASSERT_FALSE(taken.empty());
  for (size_t i = 0; i < taken.size(); ++i) ASSERT_EQ(taken[i], static_cast<int64_t>(i) + 1);
}

std::vector<int64_t> ParseList(const std::string& text) {
  std::vector<int64_t> list;
  for (size_t at = 0; at < text.size();) {
    const size_t comma = text.find(',', at);
    list.push_back(std::stoll(text.substr(at, comma - at)));
    at = comma + 1;
  }
  return list;
}

TEST_P(IsolationTest, ListAppendIsStrictlySerialisable) {
  constexpr uint64_t kLists = 7;
  const int times = TimesOf(GetParam()) / 4;  // the lists grow
  std::atomic<uint64_t> tick{1};
  std::atomic<int64_t> next_value{1};
  base::Mutex mu;
  std::vector<Transaction> history;
  std::vector<int64_t> aborted;
  Run(times, [&](int, txn::Engine& engine, base::Random& random) {
    Transaction done;
    const bool reads_only = random.Next64() % 4 == 0;
    done.start = tick++;
    Session session(engine, reads_only ? Mode::kReadOnly : Mode::kReadWrite);
    const uint64_t operations = 1 + random.Next64() % 4;
    for (uint64_t i = 0; i < operations; ++i) {
      Operation operation;
      operation.key = static_cast<int>(random.Next64() % kLists);
      const std::string key = fmt::format("list{}", operation.key);
      const std::string list = session.Get(key);
      if (reads_only || random.Next64() % 2 == 0) {
        operation.seen = ParseList(list);
      } else {
        operation.kind = Operation::Kind::kAppend;
        operation.value = next_value++;
        session.Put(key, fmt::format("{}{},", list, operation.value));
        done.wrote = true;
      }
      done.operations.push_back(std::move(operation));
    }
    const uint64_t read_version = session.read_version();
    const uint64_t version = session.Commit();
    done.end = tick++;
    done.order = done.wrote ? version : read_version;
    base::MutexLock lock(mu);
    if (!done.wrote || version != 0) {
      history.push_back(std::move(done));
      return;
    }
    for (const Operation& operation : done.operations) {
      if (operation.kind == Operation::Kind::kAppend) aborted.push_back(operation.value);
    }
  });
  const Staleness staleness = engines_->single() ? Staleness::kNone : Staleness::kReadersMayLag;
  EXPECT_EQ(FindContradiction(history, aborted, staleness), "");
  EXPECT_GT(history.size(), static_cast<size_t>(times));
}

INSTANTIATE_TEST_SUITE_P(Engines, IsolationTest,
                         testing::Values(EngineKind::kMemory, EngineKind::kTwoCommitters,
                                         EngineKind::kRocksDb),
                         [](const auto& param) {
                           switch (param.param) {
                             case EngineKind::kMemory:
                               return "Memory";
                             case EngineKind::kTwoCommitters:
                               return "TwoCommitters";
                             default:
                               return "RocksDb";
                           }
                         });

}  // namespace
}  // namespace sop::history
