#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "sop/v1/admin.grpc.pb.h"
#include "sop/v1/btree.grpc.pb.h"
#include "sop/v1/transaction.grpc.pb.h"
#include "tests/bench/sopd_process.h"

namespace sop::bench {

inline constexpr const char* kStore = "bench";

// One client of the daemon with a connection of its own. Its calls use the items of the workload:
// item `number` has the key KeyOf(number). A failed call ends the program. Confined to one thread.
class ServerClient {
 public:
  explicit ServerClient(const SopdProcess& server, std::string database = "default");

  void CreateStore();
  // Items [begin, end) in one request of its own transaction.
  void Add(uint64_t begin, uint64_t end);
  // Items [begin, end) in one transaction, at most `batch` in each request.
  void AddInTransaction(uint64_t begin, uint64_t end, uint64_t batch);
  // Scattered items [first, first + items), in one Execute. False if it was aborted.
  bool Execute(uint64_t first, uint64_t items);
  // The same, with the creation of `store` before it.
  bool CreateAndExecute(const std::string& store, uint64_t first, uint64_t items);
  // `keys` random ones of [0, known).
  void Get(uint64_t known, int keys, uint64_t* state);
  // An Echo whose messages are as long as those of a Get of one key.
  void EchoLikeGet();
  // An Echo whose messages are as long as those of an Add of one item.
  void EchoLikeAdd();
  // Every item; returns how many there were.
  uint64_t Scan();
  // The same in pages of `page_size` items, as messages.
  uint64_t ReadPages(uint32_t page_size);

 private:
  bool Commit(v1::ExecuteRequest* request);
  void Echo(size_t request_bytes, size_t response_bytes);

  v1::AddRequest AddOf(uint64_t begin, uint64_t end) const;

  const std::string database_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
  const std::unique_ptr<v1::BtreeService::Stub> btree_;
  const std::unique_ptr<v1::TransactionService::Stub> transactions_;
};

// Adds scattered items [first, first + items) to the operations of `request`.
void AddScattered(const std::string& store, uint64_t first, uint64_t items,
                  v1::ExecuteRequest* request);

// Runs `call` with a client of its own in each of `clients` threads for a time; calls per second.
double RunClients(const SopdProcess& server, int clients, double seconds,
                  absl::FunctionRef<void(ServerClient& client, int number)> call);

}  // namespace sop::bench
