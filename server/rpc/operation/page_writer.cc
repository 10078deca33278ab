#include "server/rpc/operation/page_writer.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/convert/key.h"

namespace sop::rpc {
namespace {

// What an item costs in a message beside its bytes: tags, lengths, version.
constexpr int64_t kItemOverheadBytes = 32;

// Memory for an answer is taken in steps of at most this, and from this on: what is smaller has its
// place with the call.
constexpr int64_t kMemoryStepBytes = 256 << 10;
constexpr int64_t kSmallAnswerBytes = 4 << 10;

int64_t SizeOf(const btree::PackedItem& item) {
  return static_cast<int64_t>(item.key_prefix.size() + item.key.size() + item.ride_on.size() +
                              item.value.size()) +
         kItemOverheadBytes;
}

bool HasRideOn(const btree::KeySchema* schema) {
  if (schema == nullptr) return false;
  for (const btree::SchemaField& field : schema->fields()) {
    if (field.index_position == btree::SchemaField::kRidesOn) return true;
  }
  return false;
}

uint8_t ColumnsOf(const catalog::OrderedStore& store, catalog::ItemContent content) {
  uint8_t columns = btree::PageColumns::kVersions;
  if (content != catalog::ItemContent::kValues) {
    columns |= btree::PageColumns::kKeys;
    if (HasRideOn(store.schema())) columns |= btree::PageColumns::kRideOn;
  }
  if (!store.unique()) columns |= btree::PageColumns::kItemIds;
  if (content != catalog::ItemContent::kKeys) columns |= btree::PageColumns::kValues;
  return columns;
}

}  // namespace

absl::StatusOr<catalog::ItemContent> ContentFromProto(v1::ItemContent content) {
  switch (content) {
    case v1::ITEM_CONTENT_UNSPECIFIED:
    case v1::ITEM_CONTENT_ITEMS:
      return catalog::ItemContent::kItems;
    case v1::ITEM_CONTENT_KEYS:
      return catalog::ItemContent::kKeys;
    case v1::ITEM_CONTENT_VALUES:
      return catalog::ItemContent::kValues;
    default:
      return Error(Reason::kInvalidArgument,
                   fmt::format("content {} does not exist", static_cast<int>(content)),
                   {{"field", "content"}});
  }
}

absl::StatusOr<catalog::ScanDirection> DirectionFromProto(v1::Direction direction) {
  switch (direction) {
    case v1::DIRECTION_UNSPECIFIED:
    case v1::DIRECTION_FORWARD:
      return catalog::ScanDirection::kForward;
    case v1::DIRECTION_BACKWARD:
      return catalog::ScanDirection::kBackward;
    default:
      return Error(Reason::kInvalidArgument,
                   fmt::format("direction {} does not exist", static_cast<int>(direction)),
                   {{"field", "direction"}});
  }
}

absl::Status ItemToProto(const btree::KeySchema& schema, catalog::ItemContent content,
                         const btree::PackedItem& item, v1::Item* out) {
  out->set_version(item.version);
  if (!item.item_id.IsZero()) out->set_item_id(item.item_id.Bytes());
  if (content != catalog::ItemContent::kValues) {
    std::string joined;
    std::string_view encoded = item.key;
    if (!item.key_prefix.empty()) {
      joined.reserve(item.key_prefix.size() + item.key.size());
      joined.append(item.key_prefix).append(item.key);
      encoded = joined;
    }
    SOP_ASSIGN_OR_RETURN(btree::Key key, schema.Decode(encoded, item.ride_on));
    convert::KeyToProto(std::move(key), out->mutable_key());
  }
  const bool left_out = (item.flags & btree::PackedItemFlags::kValueLeftOut) != 0;
  if (left_out) out->set_value_size(item.value_size);
  if (content != catalog::ItemContent::kKeys && !left_out) {
    out->mutable_value()->set_content(item.value.data(), item.value.size());
    out->mutable_value()->set_format(convert::FormatToProto(item.format));
  }
  return absl::OkStatus();
}

PageWriter::PageWriter(const catalog::OrderedStore& store, catalog::ItemContent content, Form form,
                       const Room& room, google::protobuf::RepeatedPtrField<v1::Item>* items)
    : schema_(store.schema()),
      content_(content),
      room_(room),
      items_(items),
      taken_bytes_(kSmallAnswerBytes) {
  if (form == Form::kPacked) {
    packed_.emplace(ColumnsOf(store, content),
                    btree::PageBounds{.max_items = 65'536,
                                      .max_size_bytes = static_cast<size_t>(room.budget_bytes)});
  }
}

bool PageWriter::Append(const btree::PackedItem& item) {
  if (room_.place != nullptr && !TakeMemory(item)) return false;
  const bool appended = packed_.has_value() ? packed_->Append(item) : AppendMessage(item);
  empty_ = empty_ && !appended;
  return appended;
}

// By steps, so that an answer of many small items asks seldom.
bool PageWriter::TakeMemory(const btree::PackedItem& item) {
  const int64_t needed = size_bytes() + SizeOf(item);
  if (needed <= taken_bytes_) return true;
  const int64_t more = std::max(needed - taken_bytes_, std::min(taken_bytes_, kMemoryStepBytes));
  out_of_memory_ = !room_.place->GrowAnswer(more);
  if (!out_of_memory_) taken_bytes_ += more;
  return !out_of_memory_;
}

absl::Status PageWriter::status() const {
  if (out_of_memory_ && (empty_ || room_.whole == Whole::kRequired)) {
    return room_.place->RefuseAnswer();
  }
  return status_;
}

bool PageWriter::AppendMessage(const btree::PackedItem& item) {
  const int64_t size = SizeOf(item);
  // The first item is taken whatever its size: one item always fits a message.
  if (!items_->empty() && used_bytes_ + size > room_.budget_bytes) return false;
  status_ = ItemToProto(*schema_, content_, item, items_->Add());
  used_bytes_ += size;
  return status_.ok();
}

int64_t PageWriter::size_bytes() const {
  return packed_.has_value() ? static_cast<int64_t>(packed_->size_bytes()) : used_bytes_;
}

std::string PageWriter::FinishPacked() {
  return packed_.has_value() ? packed_->Finish() : std::string();
}

}  // namespace sop::rpc
