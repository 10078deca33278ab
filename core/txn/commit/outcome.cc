#include "core/txn/commit/outcome.h"

#include "core/base/bytes.h"
#include "core/base/error.h"

namespace sop::txn {
namespace {

constexpr uint8_t kFormat = 1;

}  // namespace

std::string EncodeOutcome(const Outcome& outcome) {
  std::string out;
  out.push_back(static_cast<char>(kFormat));
  base::AppendVarint(&out, outcome.version.value);
  base::AppendLengthPrefixed(&out, outcome.reply);
  return out;
}

absl::StatusOr<Outcome> DecodeOutcome(std::string_view bytes) {
  base::ByteReader reader(bytes);
  uint8_t format;
  Outcome outcome;
  std::string_view reply;
  if (!reader.GetByte(&format) || format != kFormat || !reader.GetVarint(&outcome.version.value) ||
      !reader.GetLengthPrefixed(&reply) || !reader.empty()) {
    return Error(Reason::kDamaged, "outcome of a commit is damaged");
  }
  outcome.reply = std::string(reply);
  return outcome;
}

absl::Time TokenTime(const Uuid& token) {
  return absl::FromUnixMillis(static_cast<int64_t>(token.high >> 16));
}

}  // namespace sop::txn
