#include "core/catalog/ordered_store.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/ordered/key_lookup.h"
#include "core/catalog/ordered/rank_choice.h"
#include "core/catalog/ordered/write_request.h"
#include "core/txn/transaction_cursor.h"

namespace sop::catalog {
namespace {

std::string After(std::string_view key) {
  std::string after(key);
  after.push_back('\0');
  return after;
}

absl::Status SeekError(std::string_view field, std::string_view why) {
  return Error(Reason::kInvalidArgument, fmt::format("{} {}", field, why),
               {{"field", std::string(field)}});
}

bool IsEnd(SeekTarget target) {
  return target == SeekTarget::kFirst || target == SeekTarget::kLast;
}

absl::Status CheckSeek(const SeekRequest& request) {
  if (IsEnd(request.target)) {
    if (request.key.has_value()) return SeekError("key", "was given; this target takes none");
    if (request.item_id.has_value()) {
      return SeekError("item_id", "was given; this target takes none");
    }
    return absl::OkStatus();
  }
  return request.key.has_value() ? absl::OkStatus()
                                 : SeekError("key", "was not given; this target needs one");
}

absl::Status NoRoomFor(uint64_t items, const std::string& store) {
  return Error(Reason::kLimitExceeded, fmt::format("the answer has no room for {} items", items),
               {{"store", store}});
}

// Moves to the item that `target` asks for, of which `same` are those meant by its key.
absl::Status Go(SeekTarget target, const btree::KeyRange& same, txn::TransactionCursor& cursor) {
  switch (target) {
    case SeekTarget::kExact:
    case SeekTarget::kAtOrAfter:
      return cursor.Seek(same.begin);
    case SeekTarget::kAfter:
      return cursor.Seek(same.end);
    case SeekTarget::kAtOrBefore:
      return cursor.SeekBefore(same.end);
    case SeekTarget::kBefore:
      return cursor.SeekBefore(same.begin);
    case SeekTarget::kFirst:
      return cursor.SeekToFirst();
    case SeekTarget::kLast:
      break;
  }
  return cursor.SeekToLast();
}

}  // namespace

OrderedStore::OrderedStore(OpenStore& store) : store_(store), tree_(store.tree(kItemsRole)) {}

absl::StatusOr<WriteReport> OrderedStore::Add(std::span<const WriteItem> items, Require require) {
  return WriteRequest(store_, WriteKind::kAdd, require).Run(items);
}

absl::StatusOr<WriteReport> OrderedStore::AddIfNotExists(std::span<const WriteItem> items,
                                                         Require require) {
  return WriteRequest(store_, WriteKind::kAddIfNotExists, require).Run(items);
}

absl::StatusOr<WriteReport> OrderedStore::Update(std::span<const WriteItem> items,
                                                 Require require) {
  return WriteRequest(store_, WriteKind::kUpdate, require).Run(items);
}

absl::StatusOr<WriteReport> OrderedStore::Upsert(std::span<const WriteItem> items) {
  return WriteRequest(store_, WriteKind::kUpsert, Require::kNothing).Run(items);
}

absl::StatusOr<WriteReport> OrderedStore::UpdateKey(std::span<const WriteItem> items,
                                                    Require require) {
  return WriteRequest(store_, WriteKind::kUpdateKey, require).Run(items);
}

absl::StatusOr<WriteReport> OrderedStore::Remove(std::span<const WriteItem> items,
                                                 Require require) {
  return WriteRequest(store_, WriteKind::kRemove, require).Run(items);
}

absl::StatusOr<std::vector<uint32_t>> OrderedStore::Get(std::span<const btree::Key> keys,
                                                        ItemContent content, ItemSink sink) {
  // Enough to wait for memory together, and few enough to hold all that they find.
  constexpr size_t kTogether = 64;
  std::vector<uint32_t> missing;
  for (size_t begin = 0; begin < keys.size(); begin += kTogether) {
    const auto some = keys.subspan(begin, std::min(kTogether, keys.size() - begin));
    SOP_ASSIGN_OR_RETURN(std::vector<std::optional<LookupResult>> found, FindSome(some, content));
    for (size_t i = 0; i < some.size(); ++i) {
      if (!found[i].has_value()) {
        missing.push_back(static_cast<uint32_t>(begin + i));
        continue;
      }
      SOP_RETURN_IF_ERROR(LoadFor(content, &found[i]->item));
      SOP_ASSIGN_OR_RETURN(const btree::PackedItem item,
                           AsPackedItem(store_, found[i]->stored_key, found[i]->item.view()));
      if (!sink(item)) {
        return Error(
            Reason::kLimitExceeded,
            fmt::format("the answer has no room for key {} of {}", begin + i + 1, keys.size()),
            {{"store", store_.name()}, {"key", Printable(some[i])}});
      }
    }
  }
  return missing;
}

absl::StatusOr<std::vector<std::optional<LookupResult>>> OrderedStore::FindSome(
    std::span<const btree::Key> keys, ItemContent content) {
  std::vector<std::optional<LookupResult>> found(keys.size());
  std::vector<std::string> encoded;
  encoded.reserve(keys.size());
  for (const btree::Key& key : keys) {
    SOP_ASSIGN_OR_RETURN(std::optional<std::string> bytes, EncodeForRead(store_, key));
    if (bytes.has_value()) encoded.push_back(*std::move(bytes));
  }
  // While no schema is decided no key has an encoding, and nothing is there.
  if (encoded.size() < keys.size()) return found;
  if (!unique()) {
    KeyLookup lookup(store_);
    for (size_t i = 0; i < keys.size(); ++i) {
      SOP_ASSIGN_OR_RETURN(found[i],
                           lookup.First(encoded[i], ModeFor(content), KeyLookup::AcceptAny));
    }
    return found;
  }
  const std::vector<std::string_view> views(encoded.begin(), encoded.end());
  std::vector<std::optional<btree::Item>> items;
  SOP_RETURN_IF_ERROR(store_.transaction().GetAll(tree_, views, ModeFor(content), &items));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (items[i].has_value()) found[i] = {std::move(encoded[i]), *std::move(items[i])};
  }
  return found;
}

absl::Status OrderedStore::LoadFor(ItemContent content, btree::Item* item) const {
  if (content == ItemContent::kKeys) {
    item->value.clear();
    item->flags = 0;
    return absl::OkStatus();
  }
  if (IsLarge(item->view())) return absl::OkStatus();
  return store_.transaction().LoadValue(tree_, item);
}

absl::StatusOr<std::optional<StoredValue>> OrderedStore::FindValue(const btree::Key& key,
                                                                   std::optional<Uuid> item_id) {
  if (item_id.has_value() && unique()) {
    return SeekError("item_id", "was given; items of unique keys have none");
  }
  SOP_ASSIGN_OR_RETURN(std::optional<std::string> encoded, EncodeForRead(store_, key));
  if (!encoded.has_value()) return std::nullopt;
  KeyLookup lookup(store_);
  std::optional<LookupResult> found;
  if (item_id.has_value()) {
    btree::AppendItemId(*item_id, &*encoded);
    SOP_ASSIGN_OR_RETURN(found, lookup.At(*encoded, txn::ReadMode::kItem, KeyLookup::AcceptAny));
  } else {
    SOP_ASSIGN_OR_RETURN(found, lookup.First(*encoded, txn::ReadMode::kItem, KeyLookup::AcceptAny));
  }
  if (!found.has_value()) return std::nullopt;
  SOP_RETURN_IF_ERROR(LoadFor(ItemContent::kItems, &found->item));
  const bool is_reference = found->item.view().is_reference();
  SOP_ASSIGN_OR_RETURN(const btree::PackedItem item,
                       AsPackedItem(store_, found->stored_key, found->item.view()));
  StoredValue value{item.format,  item.value.size(),           item.item_id, Sequence{item.version},
                    std::nullopt, std::move(found->item.value)};
  if ((item.flags & btree::PackedItemFlags::kValueLeftOut) != 0) value.size = item.value_size;
  if (is_reference) value.checksum = btree::DecodeReference(value.bytes)->checksum;
  return value;
}

absl::StatusOr<std::string> OrderedStore::ReadPart(const StoredValue& value,
                                                   uint64_t offset) const {
  if (offset >= value.size) return std::string();
  constexpr uint64_t kPart = persistence::kValuePieceBytes;
  if (!value.checksum.has_value()) return value.bytes.substr(offset, kPart);
  const auto reference = btree::DecodeReference(value.bytes);
  SOP_CHECK(reference.has_value());
  SOP_ASSIGN_OR_RETURN(std::string piece,
                       store_.transaction().LoadPiece(tree_, *reference, offset / kPart));
  if (offset % kPart != 0) piece.erase(0, offset % kPart);
  return piece;
}

absl::StatusOr<btree::KeyRange> OrderedStore::SeekKeys(const SeekRequest& request) const {
  if (IsEnd(request.target)) return btree::KeyRange{};
  if (!request.item_id.has_value()) {
    SOP_ASSIGN_OR_RETURN(const std::string prefix,
                         schema()->EncodeLeading(*request.key, btree::PrefixMatch::kWholeFields));
    if (prefix.empty()) return SeekError("key", "names no field of the index");
    return btree::PrefixRange(prefix);
  }
  if (unique()) return SeekError("item_id", "was given; items of unique keys have none");
  SOP_ASSIGN_OR_RETURN(btree::EncodedKey encoded, schema()->Encode(*request.key));
  btree::AppendItemId(*request.item_id, &encoded.key);
  return btree::KeyRange{encoded.key, After(encoded.key)};
}

absl::StatusOr<SeekResult> OrderedStore::Seek(const SeekRequest& request) {
  SOP_RETURN_IF_ERROR(CheckSeek(request));
  if (schema() == nullptr) {
    if (!request.key.has_value()) SOP_RETURN_IF_ERROR(TrackEmpty(store_));
    if (request.key.has_value()) {
      SOP_RETURN_IF_ERROR(EncodeForRead(store_, *request.key).status());
    }
    return SeekResult{};
  }
  SOP_ASSIGN_OR_RETURN(const btree::KeyRange same, SeekKeys(request));
  const auto cursor = store_.transaction().OpenCursor(tree_, ModeFor(request.content));
  if (request.target == SeekTarget::kExact) cursor->Within(same.begin, same.end);
  SOP_RETURN_IF_ERROR(Go(request.target, same, *cursor));
  SeekResult result;
  std::string stored_key;
  if (cursor->Valid()) {
    stored_key = cursor->key();
    result.exact = !IsEnd(request.target) && same.Contains(stored_key);
    btree::Item item(cursor->item());
    SOP_RETURN_IF_ERROR(LoadFor(request.content, &item));
    SOP_ASSIGN_OR_RETURN(result.item, AsStoreItem(stored_key, item.view()));
  }
  if (request.neighbours == Neighbours::kKeys) {
    const bool behind =
        request.target == SeekTarget::kAfter || request.target == SeekTarget::kAtOrBefore;
    const std::string place = behind ? same.end : same.begin;
    const std::string low = stored_key.empty() ? place : stored_key;
    SOP_RETURN_IF_ERROR(
        FindNeighbours(low, stored_key.empty() ? place : After(stored_key), &result));
  }
  return result;
}

absl::Status OrderedStore::FindNeighbours(std::string_view low, std::string_view high,
                                          SeekResult* result) {
  const auto cursor = store_.transaction().OpenCursor(tree_, txn::ReadMode::kKeyOnly);
  SOP_RETURN_IF_ERROR(cursor->SeekBefore(low));
  if (cursor->Valid()) {
    SOP_ASSIGN_OR_RETURN(result->previous, AsStoreItem(cursor->key(), cursor->item()));
    result->previous->value.clear();
    result->previous->left_out_size = 0;
  }
  SOP_RETURN_IF_ERROR(cursor->Seek(high));
  if (cursor->Valid()) {
    SOP_ASSIGN_OR_RETURN(result->next, AsStoreItem(cursor->key(), cursor->item()));
    result->next->value.clear();
    result->next->left_out_size = 0;
  }
  return absl::OkStatus();
}

absl::StatusOr<StoreItem> OrderedStore::AsStoreItem(std::string_view stored_key,
                                                    const btree::ItemView& item) const {
  SOP_ASSIGN_OR_RETURN(const btree::PackedItem packed, AsPackedItem(store_, stored_key, item));
  return StoreItem(packed);
}

absl::StatusOr<PageEnd> OrderedStore::ReadPage(const ScanRequest& request, const PageLimits& limits,
                                               ItemSink sink) {
  SOP_ASSIGN_OR_RETURN(const std::unique_ptr<OrderedScan> scan, Scan(request));
  return scan->Fill(limits, sink);
}

absl::StatusOr<std::unique_ptr<OrderedScan>> OrderedStore::Scan(const ScanRequest& request) {
  return OrderedScan::Open(store_, request);
}

absl::StatusOr<uint64_t> OrderedStore::Count(const btree::KeyRange& range) {
  if (range.IsEmpty()) return 0;
  return store_.transaction().Count(tree_, range.begin, range.end);
}

absl::StatusOr<uint64_t> OrderedStore::CountMatching(const ScanRequest& request) {
  if (request.filter == nullptr || schema() == nullptr) return Count(request.range);
  if (request.filter->is_range()) {
    return Count(btree::Intersection(request.range, request.filter->range()));
  }
  if (request.filter->is_runs()) {
    uint64_t count = 0;
    for (const btree::KeyRange& run : request.filter->runs()) {
      SOP_ASSIGN_OR_RETURN(const uint64_t items, Count(btree::Intersection(request.range, run)));
      count += items;
    }
    return count;
  }
  SOP_ASSIGN_OR_RETURN(const std::unique_ptr<OrderedScan> scan, Scan(request));
  return scan->CountRest(request.still_wanted);
}

absl::StatusOr<uint64_t> OrderedStore::Sample(const SampleRequest& request, ItemSink sink) {
  btree::KeyRange range = request.range;
  if (request.filter != nullptr && schema() != nullptr) {
    if (!request.filter->is_range()) return SampleFiltered(request, sink);
    range = btree::Intersection(range, request.filter->range());
  }
  SOP_ASSIGN_OR_RETURN(const uint64_t size, Count(range));
  if (size == 0 || request.count == 0) return size;
  uint64_t before = 0;
  if (!range.begin.empty()) {
    SOP_ASSIGN_OR_RETURN(before, Count({"", range.begin}));
  }
  const auto cursor = store_.transaction().OpenCursor(tree_, ModeFor(request.content));
  cursor->Within(range.begin, range.end);
  std::optional<uint64_t> last;
  for (const uint64_t rank : ChooseRanks(size, request.count, request.seed)) {
    const bool follows = last.has_value() && rank == *last + 1;
    SOP_RETURN_IF_ERROR(follows ? cursor->Next() : cursor->SeekToRank(before + rank));
    last = rank;
    SOP_CHECK(cursor->Valid());
    btree::Item item(cursor->item());
    SOP_RETURN_IF_ERROR(LoadFor(request.content, &item));
    SOP_ASSIGN_OR_RETURN(const btree::PackedItem packed,
                         AsPackedItem(store_, cursor->key(), item.view()));
    if (!sink(packed)) return NoRoomFor(request.count, store_.name());
  }
  return size;
}

absl::StatusOr<uint64_t> OrderedStore::SampleFiltered(const SampleRequest& request, ItemSink sink) {
  ScanRequest all;
  all.range = request.range;
  all.content = request.content;
  all.filter = request.filter;
  all.still_wanted = request.still_wanted;
  SOP_ASSIGN_OR_RETURN(const uint64_t size, CountMatching(all));
  SOP_ASSIGN_OR_RETURN(const std::unique_ptr<OrderedScan> scan, Scan(all));
  uint64_t at = 0;
  for (const uint64_t rank : ChooseRanks(size, request.count, request.seed)) {
    SOP_RETURN_IF_ERROR(scan->Skip(rank - at, request.still_wanted).status());
    SOP_ASSIGN_OR_RETURN(const PageEnd taken, scan->Fill({.max_items = 1}, sink));
    if (taken.items == 0) return NoRoomFor(request.count, store_.name());
    at = rank + 1;
  }
  return size;
}

}  // namespace sop::catalog
