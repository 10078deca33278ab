#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "grpcpp/completion_queue.h"
#include "tests/bench/sopd_process.h"

namespace sop::bench {

// Clients that write to the store of the workload by Execute, each over a connection of its own and
// with one call under way. One thread drives them all: what the clients cost is taken from a server
// on the same processors. A failed call ends the program. Confined to one thread.
class ExecuteLoad {
 public:
  // Connects `clients` of them. Each call adds `items` that nobody added before; the first is the
  // scattered item `first`.
  ExecuteLoad(const SopdProcess& server, int clients, uint64_t first, uint64_t items);
  ~ExecuteLoad();

  // Calls for a time; items per second, those of calls under way at its end included.
  double Run(double seconds);
  // The next item's number.
  uint64_t next() const { return next_; }

 private:
  class Client;

  // Answers of calls until there are none under way; begins others meanwhile while Now() < end.
  uint64_t CallUntil(double end);

  const uint64_t items_;
  uint64_t next_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace sop::bench
