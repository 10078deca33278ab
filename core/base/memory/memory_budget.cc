#include "core/base/memory/memory_budget.h"

namespace sop::base {
namespace {

// Of the limit: what caches keep, and what firm memory may always have.
constexpr int64_t kShare = 16;
// Enough for a request and an answer of some MiB, and at most so much of the limit.
constexpr int64_t kLeastRoom = 12 << 20;
constexpr int64_t kLeastRoomShare = 5;

}  // namespace

bool MemoryBudget::HasRoom(int64_t bytes) const {
  const int64_t least = std::max(limit_ / kShare, std::min(kLeastRoom, limit_ / kLeastRoomShare));
  const int64_t room = std::max(limit_ - limit_ / kShare - overhead_bytes(), least);
  return firm_bytes() + bytes <= room;
}

bool MemoryBudget::Reserve(int64_t bytes) {
  // Two that ask at once may both get the last of it; the caches' share covers that.
  if (!HasRoom(bytes)) return false;
  Charge(bytes);
  return true;
}

MemoryCharge& MemoryCharge::operator=(MemoryCharge&& other) noexcept {
  if (this != &other) {
    Set(0);
    budget_ = std::move(other.budget_);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void MemoryCharge::Set(int64_t bytes) {
  if (budget_ != nullptr && bytes != bytes_) budget_->Charge(bytes - bytes_);
  bytes_ = bytes;
}

bool MemoryCharge::Grow(int64_t bytes) {
  if (budget_ != nullptr && !budget_->Reserve(bytes)) return false;
  bytes_ += bytes;
  return true;
}

}  // namespace sop::base
