#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/node/item.h"
#include "core/btree/key.h"
#include "core/catalog/open_store.h"
#include "core/catalog/store_item.h"
#include "core/txn/transaction.h"

namespace sop::catalog {

enum class ScanDirection : uint8_t { kForward, kBackward };

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
};

struct PageLimits {
  // 1 or more.
  uint64_t max_items = UINT64_MAX;
  // A page ends with the item that reaches this many bytes of keys and values.
  uint64_t max_size_bytes = UINT64_MAX;
};

struct PageEnd {
  uint64_t items = 0;
  // Nothing follows.
  bool end = false;
  // Where the next page begins; empty at the end.
  std::string next_page_token;
};

// Reads a range of one store in order, page by page. What was covered joins the read set, also if
// the scan is given up. Confined to its StoreSet; no writes to the store while it is in use.
class OrderedScan {
 public:
  // See OrderedStore::Scan.
  static absl::StatusOr<std::unique_ptr<OrderedScan>> Open(OpenStore& store,
                                                           const ScanRequest& request);

  // Hands the next items to `sink` until it refuses one, a limit is reached or the range ends. A
  // refused item is the first of the next page. DATA_LOSS, UNAVAILABLE.
  absl::StatusOr<PageEnd> Fill(const PageLimits& limits, ItemSink sink);

 private:
  OrderedScan(OpenStore& store, const ScanRequest& request);

  absl::Status Start(const ScanRequest& request);
  absl::Status StartBehind(std::string_view stored_key);
  absl::Status StartAtOffset(uint64_t offset);
  absl::Status StartAtRange();
  absl::Status Step();
  bool InRange() const;
  absl::StatusOr<btree::PackedItem> Current();

  OpenStore& store_;
  const txn::TreeSlot tree_;
  const btree::KeyRange range_;
  const ScanDirection direction_;
  const ItemContent content_;
  // Null in a store that is empty for want of a schema.
  std::unique_ptr<txn::TransactionCursor> cursor_;
  // The last item handed out, as stored.
  std::string last_;
  // A value that was loaded from outside its node.
  btree::Item loaded_;
};

}  // namespace sop::catalog
