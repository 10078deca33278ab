#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/key.h"
#include "core/btree/key_schema.h"
#include "core/btree/packed_page.h"
#include "core/btree/value_format.h"
#include "core/catalog/ordered_scan.h"
#include "core/catalog/store_item.h"
#include "core/catalog/store_set.h"

namespace sop::catalog {

struct LookupResult;

// What became of one item of a write.
enum class WriteOutcome : uint8_t {
  kAdded,         // the key was not there; the item is
  kReplaced,      // the key was there; its value is replaced (Upsert)
  kAlreadyThere,  // the key was there; nothing changed (Add, AddIfNotExists)
  kNotFound,      // the key was not there; nothing changed (Update, UpdateKey, Remove)
  kUpdated,       // the item is changed (Update, UpdateKey)
  kRemoved,       // the item is gone (Remove)
};

// Whether an item whose write had no effect fails the request.
enum class Require : uint8_t { kNothing, kAll };

// An item to be written, or what to write it to. Fields that a call has no use for must be absent;
// otherwise it is INVALID_ARGUMENT.
struct WriteItem {
  btree::Key key;
  // Which of several equal keys; the first if absent. Not in unique stores, not for additions.
  std::optional<Uuid> item_id;
  // Absent: empty, or (Remove) any. Not for UpdateKey. Borrowed during the call.
  std::optional<std::string_view> value;
  // In place of `value` for what adds or replaces: staged for this store (StageValue).
  std::shared_ptr<const txn::StagedValue> staged = nullptr;
  btree::ValueFormat format = btree::ValueFormat::kBytes;
  // StoreItem::version that the item must still have. Not for additions.
  std::optional<Sequence> expected_version;
};

// In the order of the request.
struct WriteReport {
  std::vector<WriteOutcome> outcomes;
  // One per item in a store that is not unique, zero where nothing was found; none in a unique one.
  std::vector<Uuid> item_ids;
};

// A value where it is kept. Parts of it are read by OrderedStore::ReadPart.
struct StoredValue {
  btree::ValueFormat format = btree::ValueFormat::kBytes;
  uint64_t size = 0;
  // Zero in a unique store.
  Uuid item_id;
  // The commit that last wrote the item; 0 if this transaction did.
  Sequence version;
  // Of all bytes, as base::Checksum has it; absent where the value was read already, and so
  // verified.
  std::optional<uint64_t> checksum;
  // The value, or where it is.
  std::string bytes;

  // Whether both are the same write of the same item.
  friend bool operator==(const StoredValue&, const StoredValue&) = default;
};

enum class SeekTarget : uint8_t {
  kExact,       // the key itself; with an item id that very item
  kAtOrAfter,   // the first item not before the key
  kAfter,       // the first item after the key; with an item id after that very item
  kAtOrBefore,  // the last item not after the key
  kBefore,      // the last item before the key; with an item id before that very item
  kFirst,       // of the store; takes no key
  kLast,        // of the store; takes no key
};

enum class Neighbours : uint8_t { kLeftOut, kKeys };

struct SeekRequest {
  SeekTarget target = SeekTarget::kExact;
  // A record may name only the first fields of the index.
  std::optional<btree::Key> key;
  std::optional<Uuid> item_id;
  ItemContent content = ItemContent::kItems;
  Neighbours neighbours = Neighbours::kLeftOut;
};

struct SeekResult {
  std::optional<StoreItem> item;
  // The item has exactly the key (and id) that was asked for.
  bool exact = false;
  // Beside the item found, or beside the place where the key would be. Keys only.
  std::optional<StoreItem> previous;
  std::optional<StoreItem> next;
};

struct SampleRequest {
  btree::KeyRange range;
  uint64_t count = 0;
  uint64_t seed = 0;
  ItemContent content = ItemContent::kItems;
  // As in ScanRequest: what may be chosen.
  std::shared_ptr<const BoundFilter> filter = nullptr;
  std::function<absl::Status()> still_wanted = nullptr;
};

// A B-tree store in one transaction, with typed keys; made for each request.
//
// Writes answer per item and act in the order of the request. A request that fails as a whole
// changes nothing; the errors that all share are
// - INVALID_KEY, KEY_TYPE_DIFFERS, FIELD_MISSING, FIELD_UNKNOWN: see KeySchema;
// - INVALID_VALUE above 64 MiB or if it is not of its format;
// - INVALID_ARGUMENT for a field of WriteItem that the call has no use for;
// - READ_ONLY_TRANSACTION, LIMIT_EXCEEDED (see txn::Limits), DISK_FULL;
// - with Require::kAll KEY_EXISTS or KEY_NOT_FOUND, naming the key;
// - PRECONDITION_NOT_MET if an expected version differs or the item is not there;
// - DATA_LOSS, UNAVAILABLE from reading.
// In a store that is not unique, calls by key act on the first of equal keys and say its id.
//
// What is tracked: a write remembers whether its key was there, and the value only if a version or
// value was expected; Get and scans of keys do not conflict with changes of values.
//
// While no item has decided the schema the store is empty: every well-formed key is not found.
// Confined to its StoreSet.
class OrderedStore {
 public:
  // REQUIRES: `store` is a B-tree, not removed, and outlives this.
  explicit OrderedStore(OpenStore& store);

  // Null while it is not decided.
  const btree::KeySchema* schema() const { return store_.schema(); }
  bool unique() const { return store_.options().uniqueness == Uniqueness::kUnique; }
  OpenStore& store() const { return store_; }

  // --- Writes ---

  // kAdded or, in a unique store, kAlreadyThere. A store that is not unique takes every item.
  absl::StatusOr<WriteReport> Add(std::span<const WriteItem> items, Require require);
  // kAdded or kAlreadyThere, in every store.
  absl::StatusOr<WriteReport> AddIfNotExists(std::span<const WriteItem> items, Require require);
  // kUpdated or kNotFound. Fields that ride on are replaced if the key given has any.
  absl::StatusOr<WriteReport> Update(std::span<const WriteItem> items, Require require);
  // kAdded or kReplaced, fields that ride on as Update.
  absl::StatusOr<WriteReport> Upsert(std::span<const WriteItem> items);
  // kUpdated or kNotFound. Replaces the fields that ride on and are given. INVALID_KEY if keys are
  // scalars.
  absl::StatusOr<WriteReport> UpdateKey(std::span<const WriteItem> items, Require require);
  // kRemoved or kNotFound. A value that is given must equal the item's: of equal keys the first
  // with this value goes.
  absl::StatusOr<WriteReport> Remove(std::span<const WriteItem> items, Require require);

  // --- Reads ---

  // Values above persistence::kMaxWholeValueBytes are left out of what these give; see FindValue.

  // Hands the items that are there to `sink`, in the order of `keys`, and returns the positions of
  // the others, ascending. LIMIT_EXCEEDED when `sink` refuses one.
  absl::StatusOr<std::vector<uint32_t>> Get(std::span<const btree::Key> keys, ItemContent content,
                                            ItemSink sink);

  // The value of one item, of any size, to be read by ReadPart; nothing if the item is not there.
  // Of equal keys the first, or the one with the id. INVALID_ARGUMENT for an id in a unique store.
  absl::StatusOr<std::optional<StoredValue>> FindValue(const btree::Key& key,
                                                       std::optional<Uuid> item_id);
  // Some of its bytes from `offset` on; none at its end. REQUIRES: the item was not written since.
  absl::StatusOr<std::string> ReadPart(const StoredValue& value, uint64_t offset) const;

  // INVALID_ARGUMENT if the target needs a key, or an id is given to one that takes none.
  absl::StatusOr<SeekResult> Seek(const SeekRequest& request);

  // One page; see OrderedScan::Fill. `start` may be a token of an earlier page of the same range
  // and direction: INVALID_ARGUMENT if it is not.
  absl::StatusOr<PageEnd> ReadPage(const ScanRequest& request, const PageLimits& limits,
                                   ItemSink sink);

  // A range to be read page by page in this transaction. Not to be used across writes to the store.
  absl::StatusOr<std::unique_ptr<OrderedScan>> Scan(const ScanRequest& request);

  // Exact, O(log n). The number is what is tracked.
  absl::StatusOr<uint64_t> Count(const btree::KeyRange& range);
  // How many items a read of the request would give: O(log n), too, where its filter is a range;
  // else all of them are looked at and tracked.
  absl::StatusOr<uint64_t> CountMatching(const ScanRequest& request);

  // Hands `count` items of the range to `sink`, or all if it has no more: chosen uniformly and none
  // twice, in their order. The same for the same seed, range and items. O(count log n): by rank.
  // The counts before them and the items join the read set. With a filter that is more than a range
  // all items of it are looked at, twice, and tracked. Returns how many there were to choose from.
  // LIMIT_EXCEEDED when `sink` refuses one.
  absl::StatusOr<uint64_t> Sample(const SampleRequest& request, ItemSink sink);

 private:
  // What Get finds for a few keys, values not loaded yet.
  absl::StatusOr<std::vector<std::optional<LookupResult>>> FindSome(
      std::span<const btree::Key> keys, ItemContent content);
  absl::Status LoadFor(ItemContent content, btree::Item* item) const;
  // Sample by going through all items.
  absl::StatusOr<uint64_t> SampleFiltered(const SampleRequest& request, ItemSink sink);
  // The stored keys that are meant by the request's key and id.
  absl::StatusOr<btree::KeyRange> SeekKeys(const SeekRequest& request) const;
  // The last item before `low` and the first one not before `high`.
  absl::Status FindNeighbours(std::string_view low, std::string_view high, SeekResult* result);
  absl::StatusOr<StoreItem> AsStoreItem(std::string_view stored_key,
                                        const btree::ItemView& item) const;

  OpenStore& store_;
  const txn::TreeSlot tree_;
};

}  // namespace sop::catalog
