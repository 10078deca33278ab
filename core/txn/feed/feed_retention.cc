#include "core/txn/feed/feed_retention.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/txn/feed/feed_row.h"

namespace sop::txn {
namespace {

constexpr uint8_t kFormat = 1;
// Feeds are trimmed in steps of this part of what is kept.
constexpr int64_t kSteps = 64;
// Far more than there can be: a row that names more is damaged.
constexpr uint64_t kMostMarks = 64 * kSteps;

}  // namespace

std::string EncodeFeedState(const FeedState& state) {
  std::string out;
  out.push_back(static_cast<char>(kFormat));
  base::AppendVarint(&out, state.floor.value);
  base::AppendVarint(&out, state.trimmed_bytes);
  base::AppendVarint(&out, state.marks.size());
  for (const FeedState::Mark& mark : state.marks) {
    base::AppendVarint(&out, mark.sequence.value);
    base::AppendVarint(&out, static_cast<uint64_t>(mark.unix_ms));
    base::AppendVarint(&out, mark.bytes);
  }
  return out;
}

std::optional<FeedState> DecodeFeedState(std::string_view bytes) {
  base::ByteReader reader(bytes);
  FeedState state;
  uint8_t format = 0;
  uint64_t count = 0;
  if (!reader.GetByte(&format) || format != kFormat || !reader.GetVarint(&state.floor.value) ||
      !reader.GetVarint(&state.trimmed_bytes) || !reader.GetVarint(&count) || count > kMostMarks) {
    return std::nullopt;
  }
  for (uint64_t i = 0; i < count; ++i) {
    FeedState::Mark mark;
    uint64_t unix_ms = 0;
    if (!reader.GetVarint(&mark.sequence.value) || !reader.GetVarint(&unix_ms) ||
        !reader.GetVarint(&mark.bytes)) {
      return std::nullopt;
    }
    mark.unix_ms = static_cast<int64_t>(unix_ms);
    state.marks.push_back(mark);
  }
  if (!reader.empty()) return std::nullopt;
  return state;
}

FeedRetention::FeedRetention(const Limits& limits)
    : age_ms_(absl::ToInt64Milliseconds(limits.feed_age)), most_bytes_(limits.feed_bytes) {}

absl::Status FeedRetention::Restore(const persistence::StorageSnapshot& snapshot) {
  using persistence::Space;
  SOP_ASSIGN_OR_RETURN(const auto row, snapshot.ReadRow(Space::kMeta, kFeedStateRow));
  if (!row.has_value()) return absl::OkStatus();
  const auto state = DecodeFeedState(*row);
  if (!state.has_value()) {
    return Error(Reason::kDamaged, "row of what is kept of feeds is damaged");
  }
  state_ = *state;
  total_bytes_ = state_.marks.empty() ? state_.trimmed_bytes : state_.marks.back().bytes;
  // What was written behind the last mark is not in it: a step at most.
  const Sequence from{state_.marks.empty() ? state_.floor.value + 1
                                           : state_.marks.back().sequence.value + 1};
  return snapshot.ScanRows(Space::kFeed, EncodeFeedRowKey({from, TreeId{0}, 0}), {},
                           [&](std::string_view key, std::string_view value) {
                             total_bytes_ += key.size() + value.size();
                             return true;
                           });
}

void FeedRetention::Adopt(const persistence::CommitRecord& record) {
  for (const persistence::RowChange& row : record.rows) {
    if (!row.value.has_value()) continue;
    if (row.space == persistence::Space::kFeed) total_bytes_ += row.key.size() + row.value->size();
    if (row.space != persistence::Space::kMeta || row.key != kFeedStateRow) continue;
    if (auto state = DecodeFeedState(*row.value)) state_ = *std::move(state);
  }
}

bool FeedRetention::IsBeyond(const FeedState::Mark& mark, int64_t unix_ms) const {
  return unix_ms - mark.unix_ms > age_ms_ || total_bytes_ - mark.bytes > most_bytes_;
}

void FeedRetention::Account(Sequence last, uint64_t row_bytes, int64_t unix_ms,
                            std::vector<persistence::RowChange>* rows) {
  total_bytes_ += row_bytes;
  const bool mark_is_due = state_.marks.empty() ||
                           unix_ms - state_.marks.back().unix_ms >= age_ms_ / kSteps ||
                           total_bytes_ - state_.marks.back().bytes >= most_bytes_ / kSteps;
  if (!mark_is_due) return;
  state_.marks.push_back({last, std::max<int64_t>(unix_ms, 0), total_bytes_});
  std::optional<FeedState::Mark> trimmed;
  // The newest mark stays, so that there is one to measure from.
  while (state_.marks.size() > 1 && IsBeyond(state_.marks.front(), unix_ms)) {
    trimmed = state_.marks.front();
    state_.marks.pop_front();
  }
  if (trimmed.has_value()) {
    state_.floor = trimmed->sequence;
    state_.trimmed_bytes = trimmed->bytes;
    rows->push_back({persistence::Space::kFeed,
                     EncodeFeedRowKey({Sequence{state_.floor.value + 1}, TreeId{0}, 0}),
                     std::nullopt});
  }
  rows->push_back({persistence::Space::kMeta, std::string(kFeedStateRow), EncodeFeedState(state_)});
}

}  // namespace sop::txn
