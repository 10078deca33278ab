#include "tests/history/append_history.h"

#include <algorithm>

namespace sop::history {

void AppendHistory::Begin(uint32_t client, uint64_t start) {
  clients_ = std::max(clients_, client + 1);
  transactions_.push_back({client, Outcome::kOk, start, start, operations_.size(), 0});
}

void AppendHistory::Append(uint32_t list, uint32_t value) {
  lists_ = std::max(lists_, list + 1);
  values_ = std::max(values_, value + 1);
  operations_.push_back({Operation::Kind::kAppend, list, value, 0, 0});
}

AppendHistory::Operation AppendHistory::Seen(uint32_t list, std::span<const uint32_t> seen) {
  lists_ = std::max(lists_, list + 1);
  const size_t begin = seen_.size();
  seen_.insert(seen_.end(), seen.begin(), seen.end());
  return {Operation::Kind::kRead, list, 0, begin, seen_.size()};
}

void AppendHistory::Read(uint32_t list, std::span<const uint32_t> seen) {
  operations_.push_back(Seen(list, seen));
}

void AppendHistory::End(uint64_t end, Outcome outcome) {
  Transaction& transaction = transactions_.back();
  transaction.end = end;
  transaction.outcome = outcome;
  transaction.last_operation = operations_.size();
}

void AppendHistory::Drop() {
  operations_.resize(transactions_.back().first_operation);
  transactions_.pop_back();
}

void AppendHistory::Close(uint32_t list, std::span<const uint32_t> seen) {
  closing_.push_back(Seen(list, seen));
}

void AppendHistory::Take(const AppendHistory& other) {
  const size_t operations = operations_.size();
  const size_t seen = seen_.size();
  const auto moved = [seen](Operation operation) {
    operation.seen_begin += seen;
    operation.seen_end += seen;
    return operation;
  };
  for (Transaction transaction : other.transactions_) {
    transaction.first_operation += operations;
    transaction.last_operation += operations;
    transactions_.push_back(transaction);
  }
  for (const Operation& operation : other.operations_) operations_.push_back(moved(operation));
  for (const Operation& operation : other.closing_) closing_.push_back(moved(operation));
  seen_.insert(seen_.end(), other.seen_.begin(), other.seen_.end());
  lists_ = std::max(lists_, other.lists_);
  values_ = std::max(values_, other.values_);
  clients_ = std::max(clients_, other.clients_);
}

void AppendHistory::Reserve(size_t transactions, size_t operations, size_t seen) {
  transactions_.reserve(transactions);
  operations_.reserve(operations);
  seen_.reserve(seen);
}

}  // namespace sop::history
