#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sop::cli {

enum class CallKind : uint8_t { kGet, kPut, kScan, kTransaction };
inline constexpr std::array<CallKind, 4> kCallKinds = {CallKind::kGet, CallKind::kPut,
                                                       CallKind::kScan, CallKind::kTransaction};
std::string_view NameOf(CallKind kind);

// Shares of the kinds of calls. Thread-compatible.
class WorkloadMix {
 public:
  // "get=70,put=20,scan=5,transaction=5" or "get": weights above 0 in any order, those left out 0.
  // A usage error names what is wrong.
  static absl::StatusOr<WorkloadMix> Parse(std::string_view text);

  // The kind for a number drawn evenly from all 64-bit numbers.
  CallKind Choose(uint64_t random) const;
  uint32_t weight(CallKind kind) const { return weights_[static_cast<size_t>(kind)]; }

 private:
  std::array<uint32_t, kCallKinds.size()> weights_{};
  uint32_t sum_ = 0;
};

}  // namespace sop::cli
