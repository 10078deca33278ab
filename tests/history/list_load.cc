#include "tests/history/list_load.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace sop::history {
namespace {

std::string KeyOf(uint32_t list) { return fmt::format("list{:08}", list); }

std::vector<uint32_t> ParseList(const std::string& bytes) {
  std::vector<uint32_t> list(bytes.size() / sizeof(uint32_t));
  if (!list.empty()) std::memcpy(list.data(), bytes.data(), list.size() * sizeof(uint32_t));
  return list;
}

std::string ListBytes(const std::vector<uint32_t>& list) {
  return std::string(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(uint32_t));
}

}  // namespace

ListLoad::ListLoad(uint64_t seed, uint32_t clients) : generations_(kSlots) {
  for (uint32_t i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<Client>(seed * 1000 + i));
  }
}

void ListLoad::RunOne(uint32_t client,
                      const std::function<std::unique_ptr<ListTransaction>(Intent intent)>& begin) {
  Client& own = *clients_[client];
  const Intent intent = own.random.Next64() % 4 == 0 ? Intent::kReads : Intent::kWrites;
  own.history.Begin(client, clock_++);
  const std::unique_ptr<ListTransaction> transaction = begin(intent);
  if (transaction == nullptr) return own.history.Drop();
  // What it read before it broke off proves nothing; what it appended must never be seen.
  const bool done = Operate(client, intent, *transaction);
  const Outcome outcome = done ? transaction->Commit() : Outcome::kFailed;
  own.history.End(clock_++, outcome);
}

bool ListLoad::Operate(uint32_t number, Intent intent, ListTransaction& transaction) {
  Client& client = *clients_[number];
  const auto count = static_cast<uint32_t>(clients_.size());
  const uint64_t operations = 1 + client.random.Next64() % 4;
  for (uint64_t i = 0; i < operations; ++i) {
    const auto slot = static_cast<uint32_t>(client.random.Next64() % kSlots);
    const uint32_t generation = generations_[slot];
    const uint32_t list = generation * kSlots + slot;
    const std::optional<std::string> bytes = transaction.Get(KeyOf(list));
    if (!bytes.has_value()) return false;
    std::vector<uint32_t> seen = ParseList(*bytes);
    if (intent == Intent::kReads || client.random.Next64() % 2 == 0) {
      client.history.Read(list, seen);
      continue;
    }
    if (seen.size() >= kLongest) {
      uint32_t expected = generation;
      generations_[slot].compare_exchange_strong(expected, generation + 1);
      client.history.Read(list, seen);
      continue;
    }
    seen.push_back(1 + number + count * client.appends++);
    client.history.Append(list, seen.back());
    if (!transaction.Put(KeyOf(list), ListBytes(seen))) return false;
  }
  return true;
}

AppendHistory ListLoad::Gather(const std::function<std::string(const std::string& key)>& get) {
  AppendHistory history;
  for (const auto& client : clients_) history.Take(client->history);
  for (uint32_t list = 0; list < history.lists(); ++list) {
    history.Close(list, ParseList(get(KeyOf(list))));
  }
  return history;
}

}  // namespace sop::history
