#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/session/connection.h"

namespace sop::cli {

// One client of a load: a connection of its own and one store with int64 keys. An empty
// `transaction` means that the call is one of its own. Confined to one thread.
class BenchClient {
 public:
  struct Options {
    std::string address;
    std::string database;
    std::string store;
    absl::Duration timeout = absl::Seconds(60);
  };
  explicit BenchClient(const Options& options);

  absl::Status CreateStore();
  absl::Status RemoveStore();
  absl::StatusOr<uint64_t> Count();

  struct Pair {
    int64_t key = 0;
    std::string_view value;
  };
  absl::Status Put(std::span<const Pair> items, const std::string& transaction = {});
  // The values in the order of the keys; nothing for one that is not there.
  absl::StatusOr<std::vector<std::optional<std::string>>> Get(std::span<const int64_t> keys,
                                                              const std::string& transaction = {});
  // Items from the first one not before `from`, at most `most`; how many they were.
  absl::StatusOr<uint64_t> Scan(int64_t from, uint32_t most);

  // As Connection::WaitForServer.
  void WaitForServer(absl::Duration limit) { connection_.WaitForServer(limit); }
  absl::StatusOr<std::string> Begin();
  absl::Status Commit(const std::string& transaction);
  // Whatever the answer, nothing is left to be done.
  void Rollback(const std::string& transaction);

 private:
  const Options options_;
  Connection connection_;
};

}  // namespace sop::cli
