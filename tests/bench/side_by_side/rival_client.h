#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace sop::bench {

// Where a server listens.
struct RivalAddress {
  std::string host = "127.0.0.1";
  int port = 0;
};

// One connection to a server: ours or another, through its own network protocol, each with one
// round trip per call. Item `number` has a 64-bit key and the workload's 100-byte value. What fails
// ends the program. Confined to one thread.
class RivalClient {
 public:
  virtual ~RivalClient() = default;
  // What has to be there before the first Put: a table or a store. Idempotent.
  virtual void Prepare() {}
  // Writes the items, there or not, as one transaction that is synced when this returns. At most
  // 100. REQUIRES: ascending, so that two calls lock rows in one order.
  virtual void Put(std::span<const uint64_t> numbers) = 0;
  // Reads the items and requires that all are there.
  virtual void Get(std::span<const uint64_t> numbers) = 0;
};

std::unique_ptr<RivalClient> ConnectSop(const RivalAddress& address);
std::unique_ptr<RivalClient> ConnectEtcd(const RivalAddress& address);
// User `postgres`, database `postgres`.
std::unique_ptr<RivalClient> ConnectPostgres(const RivalAddress& address);
std::unique_ptr<RivalClient> ConnectRedis(const RivalAddress& address);

}  // namespace sop::bench
