#include "core/catalog/ordered_scan.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/ordered/key_lookup.h"
#include "core/catalog/ordered/page_token.h"
#include "core/txn/transaction_cursor.h"

namespace sop::catalog {
namespace {

// How many items are passed over between two questions whether the read is still wanted.
constexpr uint64_t kItemsPerQuestion = 1024;

btree::KeyRange RangeOf(const ScanRequest& request) {
  if (request.filter == nullptr) return request.range;
  return btree::Intersection(request.range, request.filter->range());
}

}  // namespace

OrderedScan::OrderedScan(OpenStore& store, const ScanRequest& request)
    : store_(store),
      tree_(store.tree(kItemsRole)),
      range_(RangeOf(request)),
      direction_(request.direction),
      content_(request.content) {
  if (request.filter == nullptr || request.filter->is_range()) return;
  filter_.emplace(request.filter);
  runs_ = request.filter->runs();
  if (!forward()) std::reverse(runs_.begin(), runs_.end());
}

absl::StatusOr<std::unique_ptr<OrderedScan>> OrderedScan::Open(OpenStore& store,
                                                               const ScanRequest& request) {
  std::unique_ptr<OrderedScan> scan(new OrderedScan(store, request));
  SOP_RETURN_IF_ERROR(scan->Start(request));
  return scan;
}

absl::Status OrderedScan::EnterRun() {
  while (InRange()) {
    const std::string_view key = cursor_->key();
    const auto is_behind = [&](const btree::KeyRange& run) {
      return forward() ? !run.end.empty() && key >= run.end : key < run.begin;
    };
    while (passed_ < runs_.size() && is_behind(runs_[passed_])) ++passed_;
    if (passed_ == runs_.size()) {
      cursor_.reset();
      break;
    }
    const btree::KeyRange& run = runs_[passed_];
    if (run.Contains(key)) break;
    SOP_RETURN_IF_ERROR(forward() ? cursor_->Seek(run.begin) : cursor_->SeekBefore(run.end));
  }
  return absl::OkStatus();
}

absl::Status OrderedScan::Start(const ScanRequest& request) {
  SOP_RETURN_IF_ERROR(Place(request));
  if (!runs_.empty()) SOP_RETURN_IF_ERROR(EnterRun());
  const auto* const offset = std::get_if<Offset>(&request.start);
  if (offset == nullptr || !filter_.has_value()) return absl::OkStatus();
  return Skip(offset->items, request.still_wanted).status();
}

absl::Status OrderedScan::Place(const ScanRequest& request) {
  if (store_.schema() == nullptr) {
    if (const auto* position = std::get_if<Position>(&request.start)) {
      return EncodeForRead(store_, position->key).status();
    }
    return TrackEmpty(store_);
  }
  if (range_.IsEmpty()) return absl::OkStatus();
  const bool reads_values = filter_.has_value() && request.filter->reads_values();
  cursor_ = store_.transaction().OpenCursor(
      tree_, reads_values ? txn::ReadMode::kItem : ModeFor(content_));
  cursor_->Within(range_.begin, range_.end);
  if (const auto* position = std::get_if<Position>(&request.start)) return StartBehind(*position);
  if (const auto* token = std::get_if<PageToken>(&request.start)) return StartBehind(*token);
  if (const auto* offset = std::get_if<Offset>(&request.start)) {
    if (offset->items > 0 && !filter_.has_value()) return StartAtOffset(offset->items);
  }
  return StartAtRange();
}

absl::Status OrderedScan::StartBehind(const Position& position) {
  SOP_ASSIGN_OR_RETURN(btree::EncodedKey encoded, store_.schema()->Encode(position.key));
  if (!position.item_id.has_value()) {
    return Go(forward() ? btree::PrefixSuccessor(encoded.key) : encoded.key);
  }
  if (store_.options().uniqueness == Uniqueness::kUnique) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("item_id was given; items of store '{}', whose keys are unique, have "
                             "none",
                             base::Printable(store_.name())),
                 {{"field", "item_id"}});
  }
  btree::AppendItemId(*position.item_id, &encoded.key);
  if (forward()) encoded.key.push_back('\0');
  return Go(encoded.key);
}

absl::Status OrderedScan::StartBehind(const PageToken& token) {
  SOP_ASSIGN_OR_RETURN(std::string key,
                       DecodePageToken({store_.name(), range_, direction_}, token.bytes));
  if (forward()) key.push_back('\0');
  return Go(key);
}

absl::Status OrderedScan::StartAtOffset(uint64_t offset) {
  txn::Transaction& transaction = store_.transaction();
  uint64_t before = 0;
  if (!range_.begin.empty()) {
    SOP_ASSIGN_OR_RETURN(before, transaction.Count(tree_, {}, range_.begin));
  }
  SOP_ASSIGN_OR_RETURN(const uint64_t count, transaction.Count(tree_, range_.begin, range_.end));
  if (offset >= count) {
    cursor_.reset();
    return absl::OkStatus();
  }
  return cursor_->SeekToRank(before + (forward() ? offset : count - 1 - offset));
}

absl::StatusOr<uint64_t> OrderedScan::Skip(uint64_t items,
                                           const std::function<absl::Status()>& still_wanted) {
  uint64_t skipped = 0;
  for (uint64_t examined = 1; skipped < items && InRange(); ++examined) {
    if (examined % kItemsPerQuestion == 0 && still_wanted) SOP_RETURN_IF_ERROR(still_wanted());
    SOP_ASSIGN_OR_RETURN(const bool passes, Passes());
    if (passes) ++skipped;
    SOP_RETURN_IF_ERROR(Step());
  }
  return skipped;
}

absl::StatusOr<uint64_t> OrderedScan::CountRest(const std::function<absl::Status()>& still_wanted) {
  return Skip(UINT64_MAX, still_wanted);
}

absl::Status OrderedScan::StartAtRange() {
  if (forward()) return cursor_->Seek(range_.begin);
  return range_.end.empty() ? cursor_->SeekToLast() : cursor_->SeekBefore(range_.end);
}

absl::Status OrderedScan::Go(std::string_view begin) {
  const bool above = !range_.end.empty() && begin >= range_.end;
  if (begin <= range_.begin || above) {
    if (forward() != above) return StartAtRange();
    cursor_.reset();
    return absl::OkStatus();
  }
  return forward() ? cursor_->Seek(begin) : cursor_->SeekBefore(begin);
}

absl::StatusOr<bool> OrderedScan::TakeOne(ItemSink sink, Progress* progress) {
  ++progress->examined;
  SOP_ASSIGN_OR_RETURN(const bool passes, Passes());
  if (!passes) {
    last_ = cursor_->key();
    SOP_RETURN_IF_ERROR(Step());
    return true;
  }
  SOP_ASSIGN_OR_RETURN(const btree::PackedItem item, Current());
  if (!sink(item)) return false;
  if (content_ != ItemContent::kValues) {
    progress->size_bytes += item.key.size() + item.ride_on.size();
  }
  progress->size_bytes += item.value.size();
  ++progress->items;
  last_ = cursor_->key();
  SOP_RETURN_IF_ERROR(Step());
  return true;
}

absl::StatusOr<bool> OrderedScan::TakeRun(const PageLimits& limits, btree::PackedPageBuilder* page,
                                          Progress* progress) {
  const bool one_by_one = filter_.has_value() || !forward();
  if (one_by_one || store_.options().uniqueness != Uniqueness::kUnique) return false;
  const txn::TransactionCursor::Run run = cursor_->LeafRun();
  const uint64_t length =
      std::min<uint64_t>(run.end - run.begin, limits.max_items - progress->items);
  if (run.leaf == nullptr || length == 0) return false;
  uint64_t budget_bytes = limits.max_size_bytes - progress->size_bytes;
  const uint32_t taken = page->AppendLeaf(*run.leaf, run.begin,
                                          run.begin + static_cast<uint32_t>(length), &budget_bytes);
  if (taken == 0) return false;
  progress->size_bytes = limits.max_size_bytes - budget_bytes;
  progress->items += taken;
  run.leaf->AssignKey(run.begin + taken - 1, &last_);
  SOP_RETURN_IF_ERROR(cursor_->Skip(taken));
  return true;
}

PageEnd OrderedScan::EndOf(const Progress& progress) const {
  PageEnd page = {.items = progress.items, .end = !InRange(), .next_page_token = {}};
  if (!page.end) page.next_page_token = EncodePageToken({store_.name(), range_, direction_}, last_);
  return page;
}

absl::StatusOr<PageEnd> OrderedScan::Fill(const PageLimits& limits, ItemSink sink) {
  Progress progress;
  while (InRange() && !IsFull(limits, progress)) {
    SOP_ASSIGN_OR_RETURN(const bool taken, TakeOne(sink, &progress));
    if (!taken) break;
  }
  return EndOf(progress);
}

absl::StatusOr<PageEnd> OrderedScan::FillPacked(const PageLimits& limits,
                                                btree::PackedPageBuilder* page) {
  Progress progress;
  const auto sink = [&](const btree::PackedItem& item) { return page->Append(item); };
  while (InRange() && !IsFull(limits, progress)) {
    SOP_ASSIGN_OR_RETURN(bool taken, TakeRun(limits, page, &progress));
    if (taken) continue;
    SOP_ASSIGN_OR_RETURN(taken, TakeOne(sink, &progress));
    if (!taken) break;
  }
  return EndOf(progress);
}

absl::StatusOr<btree::PackedItem> OrderedScan::Current() {
  const btree::ItemView view = cursor_->item();
  SOP_ASSIGN_OR_RETURN(btree::PackedItem item, AsPackedItem(store_, cursor_->key(), view));
  if (content_ == ItemContent::kKeys) {
    item.value = {};
    item.value_size = 0;
    item.flags = 0;
  } else if (view.is_reference() && !IsLarge(view)) {
    SOP_ASSIGN_OR_RETURN(const ValueView value, CurrentValue(view));
    item.value = value.bytes;
    item.value_size = 0;
    item.flags = 0;
  }
  return item;
}

absl::StatusOr<bool> OrderedScan::Passes() {
  if (!filter_.has_value()) return true;
  const btree::ItemView view = cursor_->item();
  SOP_ASSIGN_OR_RETURN(const btree::PackedItem item, AsPackedItem(store_, cursor_->key(), view));
  return filter_->Matches(item, [&] { return CurrentValue(view); });
}

absl::StatusOr<ValueView> OrderedScan::CurrentValue(const btree::ItemView& view) {
  ValueView value;
  if (view.format != 0) value.format = static_cast<btree::ValueFormat>(view.format);
  value.bytes = view.value;
  if (!view.is_reference()) return value;
  // As if it were no JSON: no filter looks into it.
  if (IsLarge(view)) return ValueView{{}, btree::ValueFormat::kJson};
  if (!has_loaded_) {
    loaded_ = btree::Item(view);
    SOP_RETURN_IF_ERROR(store_.transaction().LoadValue(tree_, &loaded_));
    has_loaded_ = true;
  }
  value.bytes = loaded_.value;
  return value;
}

}  // namespace sop::catalog
