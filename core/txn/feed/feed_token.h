#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/txn/feed/feed_row.h"

namespace sop::txn {

// A position as clients keep it; docs/formats/feed.md.
struct FeedToken {
  Uuid database;
  uint64_t timeline = 0;  // persistence::Storage::timeline
  TreeId tree;
  FeedPosition at;

  friend bool operator==(const FeedToken&, const FeedToken&) = default;
};

std::string EncodeFeedToken(const FeedToken& token);
// Total: INVALID_ARGUMENT for bytes that are no position.
absl::StatusOr<FeedToken> DecodeFeedToken(std::string_view bytes);

}  // namespace sop::txn
