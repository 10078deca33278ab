#include "core/txn/feed/feed_reader.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::txn {
namespace {

// Where the feed of `tree` goes on when `row` and what follows it was not read.
FeedPosition PlaceAt(const FeedRowKey& row, TreeId tree) {
  if (row.tree < tree) return {row.sequence};
  if (row.tree == tree) return {row.sequence, row.part};
  return {Sequence{row.sequence.value + 1}};
}

}  // namespace

absl::StatusOr<FeedPosition> ReadFeed(const Snapshot& snapshot, const FeedScan& scan,
                                      FeedVisitor visit) {
  const Sequence after{snapshot.sequence().value + 1};
  if (scan.from >= FeedPosition{after}) return scan.from;
  FeedPosition next{after};
  absl::Status status;
  uint64_t passed = 0;
  const auto read_row = [&](std::string_view bytes, std::string_view row) {
    const auto key = DecodeFeedRowKey(bytes);
    if (!key.has_value()) {
      status = Error(Reason::kDamaged, "feed has a row whose key is damaged");
      return false;
    }
    if (passed >= scan.most_bytes) {
      next = std::max(PlaceAt(*key, scan.tree), scan.from);
      return false;
    }
    passed += bytes.size() + row.size();
    if (key->tree != scan.tree) return true;
    FeedPosition at{key->sequence, key->part, 0};
    if (at.sequence == scan.from.sequence && at.part == scan.from.part) at.index = scan.from.index;
    bool refused = false;
    status = VisitFeedRow(
        *key, row, at.index,
        [&](const FeedEvent& event) {
          const FeedPosition behind{at.sequence, at.part, at.index + 1};
          refused = !visit(event, behind);
          if (!refused) at = behind;
          return !refused;
        },
        &at.index);
    if (refused) next = at;
    return status.ok() && !refused;
  };
  SOP_RETURN_IF_ERROR(snapshot.storage().ScanRows(
      persistence::Space::kFeed, EncodeFeedRowKey({scan.from.sequence, scan.tree, scan.from.part}),
      EncodeFeedRowKey({after, TreeId{0}, 0}), read_row));
  SOP_RETURN_IF_ERROR(status);
  return next;
}

}  // namespace sop::txn
