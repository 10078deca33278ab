#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/persistence/storage.h"
#include "core/txn/limits.h"

namespace sop::txn {

// The row of Space::kMeta that says what is kept of the feeds; docs/formats/feed.md.
inline constexpr std::string_view kFeedStateRow = "f";

struct FeedState {
  struct Mark {
    Sequence sequence;
    int64_t unix_ms = 0;
    uint64_t bytes = 0;  // of all rows ever written, up to `sequence`

    friend bool operator==(const Mark&, const Mark&) = default;
  };
  // Rows of this and of lower sequences are not kept.
  Sequence floor;
  uint64_t trimmed_bytes = 0;  // of all rows ever written, up to the floor
  std::deque<Mark> marks;      // ascending

  friend bool operator==(const FeedState&, const FeedState&) = default;
};
std::string EncodeFeedState(const FeedState& state);
std::optional<FeedState> DecodeFeedState(std::string_view bytes);

// Decides how far back the feeds of a database are kept. Copies are cheap enough to be taken before
// a group, in case it is not written. Confined to the committer.
class FeedRetention {
 public:
  explicit FeedRetention(const Limits& limits);

  // What an earlier process left. DATA_LOSS, UNAVAILABLE.
  absl::Status Restore(const persistence::StorageSnapshot& snapshot);

  // A group that ends at `last` has so many bytes of rows; appends what its record needs beside
  // them.
  void Account(Sequence last, uint64_t row_bytes, int64_t unix_ms,
               std::vector<persistence::RowChange>* rows);

  // What another committer wrote.
  void Adopt(const persistence::CommitRecord& record);

  Sequence floor() const { return state_.floor; }
  // Bytes of the rows that are kept.
  uint64_t kept_bytes() const { return total_bytes_ - state_.trimmed_bytes; }

 private:
  bool IsBeyond(const FeedState::Mark& mark, int64_t unix_ms) const;

  // Constant after construction.
  int64_t age_ms_;
  uint64_t most_bytes_;

  FeedState state_;
  uint64_t total_bytes_ = 0;  // ever written
};

}  // namespace sop::txn
