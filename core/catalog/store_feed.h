#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/key_schema.h"
#include "core/btree/packed_page.h"
#include "core/catalog/database.h"
#include "core/catalog/store_entry.h"
#include "core/txn/feed/feed_row.h"

namespace sop::catalog {

// Where to begin: with what is committed from now on, with the oldest change that is kept, or at a
// position that an earlier StoreFeed of the same store gave.
struct FeedNow {};
struct FeedOldest {};
struct FeedFrom {
  std::string position;
};
using FeedStart = std::variant<FeedNow, FeedOldest, FeedFrom>;

// One change. Views live as long as the call of the sink.
struct StoreChange {
  txn::FeedKind kind = txn::FeedKind::kAdded;
  // Key, item id, fields that ride on, value and its format; `version` is the commit. Empty but for
  // the version when the store was removed.
  btree::PackedItem item;
  txn::FeedValue has_value = txn::FeedValue::kNone;
  uint64_t value_size = 0;
  Sequence previous;  // of the item before; 0 if there was none
  uint64_t ordinal = 0;
  int64_t unix_ms = 0;
  // What to go on from once it is dealt with.
  std::string position;
};
// Takes a change, or refuses it: then it was not taken and is the first of the next reading.
using ChangeSink = absl::FunctionRef<bool(const StoreChange&)>;

struct FeedOptions {
  std::string store;
  FeedStart start;
  // The keys to report, made of the store's schema when that is decided; empty: all of them.
  std::function<absl::StatusOr<btree::KeyRange>(const btree::KeySchema&)> range;
};

enum class FeedState : uint8_t {
  kMore,      // there may be more now
  kCaughtUp,  // everything was reported that is committed
  kEnded,     // the store was removed, which was reported
};

// The committed changes of one B-tree store in commit order, none missing and none twice, whoever
// resumes from whichever position. Reads what is stored: nothing is held between readings, however
// slow the reader. Call order: Open, Read... Confined to one thread at a time.
class StoreFeed {
 public:
  // `database` must outlive it. STORE_NOT_FOUND, WRONG_KIND, FEED_OFF; INVALID_ARGUMENT for bytes
  // that are no position; POSITION_NOT_KEPT.
  static absl::StatusOr<std::unique_ptr<StoreFeed>> Open(Database& database, FeedOptions options);

  // Of the changes reported last; null before there were any.
  const btree::KeySchema* schema() const {
    return entry_->schema.has_value() ? &*entry_->schema : nullptr;
  }
  // The tree to ask Engine::feed_bell() about.
  TreeId tree() const { return tree_; }
  // What to go on from after everything that was reported, opaque.
  std::string position() const { return PositionAt(at_); }
  // Everything up to this commit was reported.
  Sequence reported() const { return Sequence{at_.sequence.value - 1}; }

  // Hands the next changes to `sink`, passing at most about so many bytes of feed. On an error what
  // it was handed counts for nothing. POSITION_NOT_KEPT: it fell behind what is kept. DATA_LOSS,
  // UNAVAILABLE.
  absl::StatusOr<FeedState> Read(uint64_t most_bytes, ChangeSink sink);

 private:
  StoreFeed(Database& database, FeedOptions options)
      : database_(database), options_(std::move(options)) {}

  absl::Status Start();
  // Learns what the store is in the snapshot of `stores`.
  absl::Status Refresh(StoreSet& stores);
  // The last entry of the store, which is gone, from the end of its feed.
  absl::Status FindLastEntry(const txn::Snapshot& snapshot);
  absl::Status SetEntry(std::shared_ptr<const StoreEntry> entry);
  absl::StatusOr<StoreChange> Convert(const txn::FeedEvent& event) const;
  std::string PositionAt(const txn::FeedPosition& at) const;

  Database& database_;
  const FeedOptions options_;
  TreeId tree_;
  txn::FeedPosition at_;
  std::shared_ptr<const StoreEntry> entry_;
  btree::KeyRange range_;
  bool removed_ = false;
  bool ended_ = false;
};

}  // namespace sop::catalog
