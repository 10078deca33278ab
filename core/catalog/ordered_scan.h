#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/status_macros.h"
#include "core/btree/key.h"
#include "core/btree/node/item.h"
#include "core/catalog/filter/bound_filter.h"
#include "core/catalog/open_store.h"
#include "core/catalog/store_item.h"
#include "core/txn/transaction.h"
#include "core/txn/transaction_cursor.h"

namespace sop::catalog {

enum class ScanDirection : uint8_t { kForward = 0, kBackward = 1 };

// A place in the order of a store.
struct Position {
  btree::Key key;
  // One of several equal keys; the last of them in the direction of reading if absent.
  std::optional<Uuid> item_id;
};

// As many items from the beginning of the range (backward: from its end).
struct Offset {
  uint64_t items = 0;
};

// PageEnd::next_page_token of an earlier page.
struct PageToken {
  std::string bytes;
};

struct ScanRequest {
  // Encoded bounds: KeySchema::EncodeRange, EncodePrefix and Intersection make them.
  btree::KeyRange range;
  // Where in the range to begin: at its first item (backward: its last), or behind a position.
  std::variant<std::monostate, Position, Offset, PageToken> start;
  ScanDirection direction = ScanDirection::kForward;
  ItemContent content = ItemContent::kItems;
  // Of the store's schema; null lets everything through. Shared because it is immutable and a scan
  // outlives its request.
  std::shared_ptr<const BoundFilter> filter;
  // Asked now and then while items are passed over that do not count; an error ends the read.
  std::function<absl::Status()> still_wanted;
};

struct PageLimits {
  // 1 or more.
  uint64_t max_items = UINT64_MAX;
  // A page ends with the item that reaches this many bytes of keys and values.
  uint64_t max_size_bytes = UINT64_MAX;
  // Items looked at, let through by the filter or not; without a filter all are.
  uint64_t max_examined = UINT64_MAX;
};

struct PageEnd {
  uint64_t items = 0;
  // Nothing follows.
  bool end = false;
  // Where the next page begins; empty at the end.
  std::string next_page_token;
};

// Reads a range of one store in order, page by page. What was covered joins the read set, whether
// the filter let it through or not, also if the scan is given up. Confined to its StoreSet; no
// writes to the store while it is in use.
class OrderedScan {
 public:
  // INVALID_ARGUMENT for a token that is not one of this range and direction, or a position with
  // the id of a store that has none; the errors of KeySchema for its key. DATA_LOSS, UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<OrderedScan>> Open(OpenStore& store,
                                                           const ScanRequest& request);

  // Hands the next items to `sink` until it refuses one, a limit is reached or the range ends. A
  // refused item is the first of the next page. DATA_LOSS, UNAVAILABLE.
  absl::StatusOr<PageEnd> Fill(const PageLimits& limits, ItemSink sink);
  // The same into a packed page with the columns of the request's content, leaf by leaf where that
  // is possible.
  absl::StatusOr<PageEnd> FillPacked(const PageLimits& limits, btree::PackedPageBuilder* page);
  // Passes over at most `items` that the filter lets through and returns how many there were;
  // `still_wanted` as in the request.
  absl::StatusOr<uint64_t> Skip(uint64_t items, const std::function<absl::Status()>& still_wanted);
  // How many items follow, all of which are looked at.
  absl::StatusOr<uint64_t> CountRest(const std::function<absl::Status()>& still_wanted);

 private:
  OrderedScan(OpenStore& store, const ScanRequest& request);

  bool forward() const { return direction_ == ScanDirection::kForward; }
  absl::Status Start(const ScanRequest& request);
  // Goes to where the request begins, an offset by the filter apart.
  absl::Status Place(const ScanRequest& request);
  absl::Status StartBehind(const Position& position);
  absl::Status StartBehind(const PageToken& token);
  absl::Status StartAtOffset(uint64_t offset);
  absl::Status StartAtRange();
  // Goes to the first item not before `begin`, or (backward) the last one before it. An empty `end`
  // of a range is the end of the store.
  absl::Status Go(std::string_view begin);
  absl::Status Step() {
    has_loaded_ = false;
    SOP_RETURN_IF_ERROR(forward() ? cursor_->Next() : cursor_->Previous());
    return runs_.empty() ? absl::OkStatus() : EnterRun();
  }
  // From between two of the filter's runs to the next one in the direction of reading.
  absl::Status EnterRun();
  bool InRange() const { return cursor_ != nullptr && cursor_->Valid(); }
  absl::StatusOr<btree::PackedItem> Current();
  // Whether the filter lets the current item through.
  absl::StatusOr<bool> Passes();
  // The value of the current item, from wherever it is.
  absl::StatusOr<ValueView> CurrentValue(const btree::ItemView& view);
  // What has been handed out for a page.
  struct Progress {
    uint64_t items = 0;
    uint64_t size_bytes = 0;
    uint64_t examined = 0;
  };
  bool IsFull(const PageLimits& limits, const Progress& progress) const {
    return progress.items >= limits.max_items || progress.size_bytes >= limits.max_size_bytes ||
           progress.examined >= limits.max_examined;
  }
  // Hands out the current item, or passes over it. False if the sink refused it.
  absl::StatusOr<bool> TakeOne(ItemSink sink, Progress* progress);
  // Copies what follows in the leaf. False if nothing could be copied this way.
  absl::StatusOr<bool> TakeRun(const PageLimits& limits, btree::PackedPageBuilder* page,
                               Progress* progress);
  PageEnd EndOf(const Progress& progress) const;

  OpenStore& store_;
  const txn::TreeSlot tree_;
  const btree::KeyRange range_;
  const ScanDirection direction_;
  const ItemContent content_;
  // BoundFilter::runs, in the direction of reading; passed_ of them are behind.
  std::vector<btree::KeyRange> runs_;
  size_t passed_ = 0;
  // Absent when all items of the range pass.
  std::optional<FilterEvaluator> filter_;
  // Null when there is nothing to read.
  std::unique_ptr<txn::TransactionCursor> cursor_;
  // The last item handed out, as stored.
  std::string last_;
  // A value that was loaded from outside its node, and whether it is that of the current item.
  btree::Item loaded_;
  bool has_loaded_ = false;
};

}  // namespace sop::catalog
