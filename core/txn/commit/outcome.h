#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"

namespace sop::txn {

// What is kept of a commit under its token, so that a repetition is answered and not run.
struct Outcome {
  Sequence version;
  std::string reply;
};

// Row in Space::kOutcomes: key = the token's 16 bytes (time-ordered), value =
// docs/formats/outcome.md.
std::string EncodeOutcome(const Outcome& outcome);
absl::StatusOr<Outcome> DecodeOutcome(std::string_view bytes);

// When a UUIDv7 was made.
absl::Time TokenTime(const Uuid& token);

}  // namespace sop::txn
