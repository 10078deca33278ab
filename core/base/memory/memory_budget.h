#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace sop::base {

// The memory that everything in a process shares, in bytes. Three sorts are counted:
//
// - firm: held by requests, transactions and commits until they are done. What finds no room is
//   refused, or goes to disk;
// - cached: gives way. Caches drop entries while cache_exceeded();
// - overhead: what the process was measured to hold beyond these two (SetOverhead): code, threads,
//   the storage's own caches.
//
// Invariants:
// 1. Reserve succeeds only while firm and overhead leave the caches a 16th of the limit, except
//    that firm memory may always reach a 16th, of a small limit 12 MiB if that is below a fifth, so
//    that a process whose overhead has no room left still answers, the largest request too.
// 2. Caches give way to firm memory: cached <= limit - firm - overhead once they have dropped what
//    they should.
//
// A charge is one relaxed addition. Thread-safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t limit_bytes) : limit_(static_cast<int64_t>(limit_bytes)) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Takes `bytes` of firm memory if there is room.
  bool Reserve(int64_t bytes);
  // Takes firm memory that is held already, or gives back (negative).
  void Charge(int64_t bytes) { firm_.fetch_add(bytes, std::memory_order_relaxed); }
  // Whether Reserve(bytes) would succeed now.
  bool HasRoom(int64_t bytes) const;

  void ChargeCache(int64_t bytes) { cached_.fetch_add(bytes, std::memory_order_relaxed); }
  // Bytes that the caches should drop; 0 if none.
  int64_t cache_excess() const { return std::max<int64_t>(0, all() - limit_); }
  bool cache_exceeded() const { return all() > limit_; }

  // What else was measured, now and then, by whoever can measure.
  void SetOverhead(int64_t bytes) { overhead_.store(bytes, std::memory_order_relaxed); }

  int64_t limit_bytes() const { return limit_; }
  int64_t firm_bytes() const { return firm_.load(std::memory_order_relaxed); }
  int64_t cached_bytes() const { return cached_.load(std::memory_order_relaxed); }
  int64_t overhead_bytes() const { return overhead_.load(std::memory_order_relaxed); }

 private:
  int64_t all() const { return firm_bytes() + cached_bytes() + overhead_bytes(); }

  const int64_t limit_;
  // On lines of their own: commits charge the cache while requests charge what is firm.
  alignas(64) std::atomic<int64_t> firm_{0};
  alignas(64) std::atomic<int64_t> cached_{0};
  alignas(64) std::atomic<int64_t> overhead_{0};
};

// Firm memory of one owner, given back by the destructor. Without a budget it only counts. Confined
// to its owner.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  explicit MemoryCharge(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}
  MemoryCharge(MemoryCharge&& other) noexcept
      : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept;
  ~MemoryCharge() { Set(0); }

  // Holds `bytes` from now on, room or not.
  void Set(int64_t bytes);
  // Holds `bytes` more, or none more and false if there is no room.
  bool Grow(int64_t bytes);
  int64_t bytes() const { return bytes_; }
  // One on the same budget that holds nothing yet.
  MemoryCharge Another() const { return MemoryCharge(budget_); }

 private:
  std::shared_ptr<MemoryBudget> budget_;
  int64_t bytes_ = 0;
};

}  // namespace sop::base
