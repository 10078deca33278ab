#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "tests/history/append_history.h"

namespace sop::history {

// A transaction over lists, however it gets to a database. Confined to one client.
class ListTransaction {
 public:
  virtual ~ListTransaction() = default;
  // The bytes under `key`, none if there is nothing; no value if the transaction cannot go on.
  virtual std::optional<std::string> Get(const std::string& key) = 0;
  // False if the transaction cannot go on.
  virtual bool Put(const std::string& key, const std::string& bytes) = 0;
  virtual Outcome Commit() = 0;
};

enum class Intent : uint8_t { kReads, kWrites };

// Clients that append to lists and read them, and keep the record of it. A list that is long is
// left for a fresh one. REQUIRES: each client in one thread at a time, Gather when all have
// stopped. Thread-compatible.
class ListLoad {
 public:
  static constexpr uint32_t kSlots = 8;
  static constexpr size_t kLongest = 24;

  ListLoad(uint64_t seed, uint32_t clients);

  // Runs one transaction of `client`. `begin` gives it, or nothing if the database is away.
  void RunOne(uint32_t client,
              const std::function<std::unique_ptr<ListTransaction>(Intent intent)>& begin);

  // Everything, with closing reads through `get`: the bytes under a key.
  AppendHistory Gather(const std::function<std::string(const std::string& key)>& get);

 private:
  struct Client {
    explicit Client(uint64_t seed) : random(seed) {}
    base::SeededRandom random;
    AppendHistory history;
    uint32_t appends = 0;
  };

  // False if the transaction cannot go on.
  bool Operate(uint32_t number, Intent intent, ListTransaction& transaction);

  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<uint64_t> clock_{1};
  // How many lists each slot has had.
  std::vector<std::atomic<uint32_t>> generations_;
};

}  // namespace sop::history
