#include "core/catalog/store_feed.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/key.h"
#include "core/txn/feed/feed_reader.h"
#include "core/txn/feed/feed_token.h"

namespace sop::catalog {
namespace {

absl::Status NotKept(std::string_view store, std::string_view why) {
  return Error(Reason::kPositionNotKept,
               fmt::format("position in the feed of store '{}' {}", base::Printable(store), why),
               {{"store", std::string(store)}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreFeed>> StoreFeed::Open(Database& database,
                                                           FeedOptions options) {
  std::unique_ptr<StoreFeed> feed(new StoreFeed(database, std::move(options)));
  SOP_RETURN_IF_ERROR(feed->Start());
  return feed;
}

absl::Status StoreFeed::Start() {
  const std::string& name = options_.store;
  const auto stores = database_.Begin({.mode = txn::Mode::kReadOnly});
  if (const auto* from = std::get_if<FeedFrom>(&options_.start)) {
    SOP_ASSIGN_OR_RETURN(const txn::FeedToken token, txn::DecodeFeedToken(from->position));
    if (token.database != database_.id()) return NotKept(name, "is of another database");
    if (token.timeline != database_.storage().timeline()) {
      return NotKept(name, "was taken before the database was restored or repaired");
    }
    tree_ = token.tree;
    at_ = token.at;
    SOP_RETURN_IF_ERROR(database_.engine().CheckFeedPosition(at_));
    return Refresh(*stores);
  }
  SOP_ASSIGN_OR_RETURN(OpenStore * store, stores->Open(name, StoreKind::kBtree));
  tree_ = *store->entry().FindTree(kItemsRole);
  const bool oldest = std::holds_alternative<FeedOldest>(options_.start);
  const Sequence before =
      oldest ? database_.engine().feed_floor() : stores->transaction().read_version();
  at_ = {Sequence{before.value + 1}};
  return SetEntry(store->shared_entry());
}

absl::Status StoreFeed::Refresh(StoreSet& stores) {
  if (removed_) return absl::OkStatus();
  const auto store = stores.Open(options_.store, StoreKind::kBtree);
  const Reason reason = ReasonOf(store.status());
  if (!store.ok() && reason != Reason::kStoreNotFound && reason != Reason::kWrongKind) {
    return store.status();
  }
  if (store.ok() && (*store)->entry().FindTree(kItemsRole) == tree_) {
    return SetEntry((*store)->shared_entry());
  }
  return FindLastEntry(stores.transaction().snapshot());
}

absl::Status StoreFeed::FindLastEntry(const txn::Snapshot& snapshot) {
  std::string bytes;
  SOP_RETURN_IF_ERROR(txn::ReadFeed(snapshot, {tree_, at_},
                                    [&](const txn::FeedEvent& event, const txn::FeedPosition&) {
                                      if (event.change.kind == txn::FeedKind::kStoreRemoved) {
                                        bytes = event.change.value;
                                      }
                                      return bytes.empty();
                                    })
                          .status());
  if (bytes.empty()) return NotKept(options_.store, "is of another store, or behind its end");
  SOP_ASSIGN_OR_RETURN(StoreEntry entry, ParseStoreEntry(bytes));
  if (entry.name != options_.store) return NotKept(options_.store, "is of another store");
  removed_ = true;
  return SetEntry(std::make_shared<const StoreEntry>(std::move(entry)));
}

absl::Status StoreFeed::SetEntry(std::shared_ptr<const StoreEntry> entry) {
  if (entry->options.feed == Feed::kOff) {
    return Error(Reason::kFeedOff,
                 fmt::format("store '{}' was created without a feed", base::Printable(entry->name)),
                 {{"store", entry->name}});
  }
  const bool learned = entry->schema.has_value() &&
                       (entry_ == nullptr || entry_->schema_version != entry->schema_version);
  entry_ = std::move(entry);
  if (!learned || options_.range == nullptr) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(range_, options_.range(*entry_->schema));
  return absl::OkStatus();
}

absl::StatusOr<FeedState> StoreFeed::Read(uint64_t most_bytes, ChangeSink sink) {
  if (ended_) return FeedState::kEnded;
  SOP_RETURN_IF_ERROR(database_.health());
  const auto stores = database_.Begin({.mode = txn::Mode::kReadOnly});
  const txn::Snapshot& snapshot = stores->transaction().snapshot();
  SOP_RETURN_IF_ERROR(Refresh(*stores));
  absl::Status failed;
  bool ended = false;
  const auto visit = [&](const txn::FeedEvent& event, const txn::FeedPosition& behind) {
    const bool end = event.change.kind == txn::FeedKind::kStoreRemoved;
    if (!end && (range_.IsEmpty() || !range_.Contains(event.change.key))) return true;
    auto change = Convert(event);
    failed = change.status();
    if (!failed.ok()) return false;
    change->position = PositionAt(behind);
    if (!sink(*change)) return false;
    ended = end;
    return true;
  };
  SOP_ASSIGN_OR_RETURN(const txn::FeedPosition next,
                       txn::ReadFeed(snapshot, {tree_, at_, most_bytes}, visit));
  SOP_RETURN_IF_ERROR(failed);
  // What was trimmed while it was being read is missing in it.
  SOP_RETURN_IF_ERROR(database_.engine().CheckFeedPosition(at_));
  at_ = next;
  ended_ = ended;
  if (ended_) return FeedState::kEnded;
  return at_.sequence > snapshot.sequence() ? FeedState::kCaughtUp : FeedState::kMore;
}

absl::StatusOr<StoreChange> StoreFeed::Convert(const txn::FeedEvent& event) const {
  StoreChange change;
  change.kind = event.change.kind;
  change.item.version = event.version.value;
  change.previous = event.change.previous;
  change.ordinal = event.ordinal;
  change.unix_ms = event.unix_ms;
  if (change.kind == txn::FeedKind::kStoreRemoved) return change;
  change.item.key = event.change.key;
  if (entry_->options.uniqueness == Uniqueness::kDuplicates) {
    SOP_ASSIGN_OR_RETURN(const btree::KeyAndItemId split, btree::SplitItemId(event.change.key));
    change.item.key = split.key;
    change.item.item_id = split.item_id;
  }
  change.item.ride_on = event.change.ride_on;
  change.item.value = event.change.value;
  if (event.change.format != 0) {
    change.item.format = static_cast<btree::ValueFormat>(event.change.format);
  }
  change.has_value = event.change.has_value;
  change.value_size = event.change.value_size;
  return change;
}

std::string StoreFeed::PositionAt(const txn::FeedPosition& at) const {
  return txn::EncodeFeedToken({database_.id(), database_.storage().timeline(), tree_, at});
}

}  // namespace sop::catalog
