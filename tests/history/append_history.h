#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

// Histories of transactions over append-only lists, as clients saw them.
namespace sop::history {

enum class Outcome : uint8_t {
  kOk,
  // Refused: nobody may ever see what it appended.
  kFailed,
  // The answer got lost: it happened or not, at any time after its start.
  kUnknown,
};

// What clients did and saw, in flat arrays. One per client while it runs, put together with Take.
// Lists are named by small numbers, and so are values: a value is appended at most once in a whole
// history, and 0 never. Thread-compatible.
class AppendHistory {
 public:
  struct Operation {
    enum class Kind : uint8_t { kRead, kAppend };
    Kind kind = Kind::kRead;
    uint32_t list = 0;
    // kAppend.
    uint32_t value = 0;
    // kRead: the list as the transaction saw it, its own appends included.
    size_t seen_begin = 0;
    size_t seen_end = 0;
  };
  struct Transaction {
    uint32_t client = 0;
    Outcome outcome = Outcome::kOk;
    // Ticks of one monotonic clock: before it began and after it was answered.
    uint64_t start = 0;
    uint64_t end = 0;
    size_t first_operation = 0;
    size_t last_operation = 0;  // one behind it
  };

  // One transaction after the other: Begin, then what it did in its order, then End.
  void Begin(uint32_t client, uint64_t start);
  void Append(uint32_t list, uint32_t value);
  void Read(uint32_t list, std::span<const uint32_t> seen);
  void End(uint64_t end, Outcome outcome);
  // The transaction begun last never happened.
  void Drop();

  // What was there when every client had stopped.
  void Close(uint32_t list, std::span<const uint32_t> seen);

  void Take(const AppendHistory& other);
  void Reserve(size_t transactions, size_t operations, size_t seen);

  const std::vector<Transaction>& transactions() const { return transactions_; }
  std::span<const Operation> operations(const Transaction& transaction) const {
    return {operations_.data() + transaction.first_operation,
            transaction.last_operation - transaction.first_operation};
  }
  std::span<const uint32_t> seen(const Operation& read) const {
    return {seen_.data() + read.seen_begin, read.seen_end - read.seen_begin};
  }
  // The closing reads.
  const std::vector<Operation>& closing() const { return closing_; }
  // One above the largest of each.
  uint32_t lists() const { return lists_; }
  uint32_t values() const { return values_; }
  uint32_t clients() const { return clients_; }

 private:
  Operation Seen(uint32_t list, std::span<const uint32_t> seen);

  std::vector<Transaction> transactions_;
  std::vector<Operation> operations_;
  std::vector<Operation> closing_;
  std::vector<uint32_t> seen_;
  uint32_t lists_ = 0;
  uint32_t values_ = 1;
  uint32_t clients_ = 0;
};

}  // namespace sop::history
