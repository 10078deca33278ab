#include "clients/cli/bench/workload_mix.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "clients/cli/session/failure.h"

namespace sop::cli {
namespace {

constexpr uint32_t kMostWeight = 1'000'000;

std::optional<CallKind> KindNamed(std::string_view name) {
  for (const CallKind kind : kCallKinds) {
    if (NameOf(kind) == name) return kind;
  }
  return std::nullopt;
}

std::optional<uint32_t> ParseWeight(std::string_view text) {
  uint32_t weight = 0;
  const auto end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, weight);
  if (result.ec != std::errc() || result.ptr != end || weight > kMostWeight) return std::nullopt;
  return weight;
}

}  // namespace

std::string_view NameOf(CallKind kind) {
  switch (kind) {
    case CallKind::kGet:
      return "get";
    case CallKind::kPut:
      return "put";
    case CallKind::kScan:
      return "scan";
    case CallKind::kTransaction:
      return "transaction";
  }
  return "";
}

absl::StatusOr<WorkloadMix> WorkloadMix::Parse(std::string_view text) {
  WorkloadMix mix;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    const std::optional<CallKind> kind = KindNamed(name);
    const std::optional<uint32_t> weight =
        equals == std::string_view::npos ? 1 : ParseWeight(part.substr(equals + 1));
    if (!kind || !weight) {
      return UsageError(
          fmt::format("workload \"{}\" is not made of get, put, scan and transaction "
                      "with weights up to {}, like get=90,put=10",
                      text, kMostWeight));
    }
    mix.weights_[static_cast<size_t>(*kind)] += *weight;
    mix.sum_ += *weight;
  }
  if (mix.sum_ == 0) return UsageError(fmt::format("workload \"{}\" has no calls", text));
  return mix;
}

CallKind WorkloadMix::Choose(uint64_t random) const {
  auto left = static_cast<uint32_t>(random % sum_);
  for (const CallKind kind : kCallKinds) {
    if (left < weight(kind)) return kind;
    left -= weight(kind);
  }
  return CallKind::kTransaction;
}

}  // namespace sop::cli
