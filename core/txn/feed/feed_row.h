#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "core/base/ids.h"

namespace sop::txn {

// Numbers are stored and never change.
enum class FeedKind : uint8_t {
  kAdded = 1,
  kUpdated = 2,
  kRemoved = 3,
  kKeyUpdated = 4,    // only fields that ride on
  kStoreRemoved = 5,  // the last change of a store
};

enum class FeedValue : uint8_t {
  kNone = 0,     // the change has none
  kWhole = 1,    // in `value`
  kLeftOut = 2,  // too large: only `value_size` is known
};

// Larger values are left out.
inline constexpr size_t kMostFeedValueBytes = size_t{64} << 10;

// What one transaction did to one key, or the end of a store. Views into a row or a caller's bytes.
struct FeedChange {
  FeedKind kind = FeedKind::kAdded;
  // Of the item before; 0 if there was none.
  Sequence previous;
  std::string_view key;  // as the tree has it; empty for kStoreRemoved
  std::string_view ride_on;
  FeedValue has_value = FeedValue::kNone;
  uint8_t format = 0;
  uint64_t value_size = 0;
  std::string_view value;  // kStoreRemoved: the store's last catalog entry
};

// A FeedChange with its place.
struct FeedEvent {
  FeedChange change;
  Sequence version;      // the commit
  int64_t unix_ms = 0;   // when it was built
  uint64_t ordinal = 0;  // among the commit's changes of the tree
};

// A place between two changes of the feed of one tree: what is read next. The place after
// everything up to sequence S is {S + 1, 0, 0}.
struct FeedPosition {
  Sequence sequence;
  uint32_t part = 0;
  uint32_t index = 0;  // changes of the part that were read

  friend auto operator<=>(const FeedPosition&, const FeedPosition&) = default;
};

// Keys of rows in Space::kFeed; docs/formats/feed.md.
struct FeedRowKey {
  Sequence sequence;
  TreeId tree;
  uint32_t part = 0;

  friend auto operator<=>(const FeedRowKey&, const FeedRowKey&) = default;
};
std::string EncodeFeedRowKey(const FeedRowKey& key);
std::optional<FeedRowKey> DecodeFeedRowKey(std::string_view bytes);

// A row being filled. Thread-compatible.
class FeedRow {
 public:
  // `first_ordinal`: of the first change.
  explicit FeedRow(uint64_t first_ordinal) : first_ordinal_(first_ordinal) {}
  void Add(const FeedChange& change);
  size_t size_bytes() const { return changes_.size(); }
  uint64_t next_ordinal() const { return first_ordinal_ + count_; }
  std::string Encode(int64_t unix_ms) const;

 private:
  const uint64_t first_ordinal_;
  uint64_t count_ = 0;
  std::string changes_;
};

// Visits the changes of a row from number `index` on until `visit` returns false. `*read` is how
// many changes of the row were passed, `index` included and the refused one not. Total: DATA_LOSS
// (kDamaged) for bytes that are no row; nothing was visited then.
absl::Status VisitFeedRow(const FeedRowKey& key, std::string_view row, uint32_t index,
                          absl::FunctionRef<bool(const FeedEvent&)> visit, uint32_t* read);

}  // namespace sop::txn
