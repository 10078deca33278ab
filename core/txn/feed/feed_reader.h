#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/txn/feed/feed_row.h"
#include "core/txn/snapshot.h"

namespace sop::txn {

// Called with a change and the place behind it; false: the change was not taken and reading stops.
using FeedVisitor = absl::FunctionRef<bool(const FeedEvent&, const FeedPosition& behind)>;

struct FeedScan {
  TreeId tree;
  FeedPosition from;
  // Reading stops, between rows, once it has passed so many bytes, of other trees' rows too.
  uint64_t most_bytes = UINT64_MAX;
};

// Visits the changes of a tree as of `snapshot`, in commit order. Returns the place of what is read
// next; behind everything if the snapshot has nothing more. What was trimmed is not noticed: ask
// Engine::CheckFeedPosition before and after. DATA_LOSS, UNAVAILABLE.
absl::StatusOr<FeedPosition> ReadFeed(const Snapshot& snapshot, const FeedScan& scan,
                                      FeedVisitor visit);

}  // namespace sop::txn
