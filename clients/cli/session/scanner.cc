#include "clients/cli/session/scanner.h"

#include <utility>

#include "clients/cli/session/messages.h"
#include "clients/cpp/page_stream.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/packed_page.h"

namespace sop::cli {

namespace {

absl::StatusOr<btree::Key> DecodeKey(const StoreKeys& keys, const btree::PackedItem& packed) {
  if (!keys.schema) {
    return Error(Reason::kDamaged, "a key without a schema");
  }
  std::string key(packed.key_prefix);
  key.append(packed.key);
  return keys.schema->Decode(key, packed.ride_on);
}

absl::StatusOr<ScannedItem> Unpack(Session& session, const v1::ScanRequest& request,
                                   const btree::PackedItem& packed, StoreKeys* keys) {
  ScannedItem item;
  absl::StatusOr<btree::Key> key = DecodeKey(*keys, packed);
  if (!key.ok()) {
    // The schema has learned something since it was asked for.
    SOP_ASSIGN_OR_RETURN(*keys, session.GetKeys(request.store(), request.transaction_id()));
    key = DecodeKey(*keys, packed);
  }
  SOP_RETURN_IF_ERROR(key.status());
  item.key = *std::move(key);
  item.value = {std::string(packed.value), packed.format};
  item.value_left_out = (packed.flags & btree::PackedItemFlags::kValueLeftOut) != 0;
  item.version = packed.version;
  item.item_id = packed.item_id;
  return item;
}

absl::Status TakePage(Session& session, const v1::ScanRequest& request,
                      const btree::PackedPage& page, StoreKeys* keys,
                      const std::function<absl::Status(ScannedItem)>& take) {
  for (size_t i = 0; i < page.count(); ++i) {
    SOP_ASSIGN_OR_RETURN(ScannedItem item, Unpack(session, request, page.item(i), keys));
    SOP_RETURN_IF_ERROR(take(std::move(item)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ScanStore(Session& session, const v1::ScanRequest& request, StoreKeys keys,
                       const std::function<absl::Status(ScannedItem)>& take) {
  v1::ScanRequest placed = request;
  if (placed.transaction_id().empty()) {
    placed.set_transaction_id(session.connection().transaction());
  }
  client::PageStream pages(session.connection().btree(), placed);
  const Interruption::Scope scope(session.interruption(), [&pages] { pages.Cancel(); });
  for (;;) {
    SOP_ASSIGN_OR_RETURN(const auto page, pages.Next());
    if (!page.has_value()) {
      break;
    }
    SOP_RETURN_IF_ERROR(TakePage(session, request, *page, &keys, take));
  }
  SOP_RETURN_IF_ERROR(StatusFromGrpc(pages.Finish()));
  if (!pages.complete()) {
    return Error(Reason::kInternal, "the scan ended without its last page");
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredValue> ReadLeftOutValue(Session& session, const v1::ScanRequest& request,
                                             const ScannedItem& item) {
  v1::ReadValueRequest read;
  read.set_database(request.database());
  read.set_store(request.store());
  read.set_transaction_id(request.transaction_id());
  KeyToProto(item.key, read.mutable_key());
  if (!item.item_id.IsZero()) {
    read.set_item_id(item.item_id.Bytes());
  }
  SOP_ASSIGN_OR_RETURN(const v1::ReadValueResponse whole, session.connection().ReadValue(read));
  v1::Value value;
  value.set_content(whole.content());
  value.set_format(whole.format());
  return ValueFromProto(value);
}

absl::Status FillLeftOutValue(Session& session, const v1::GetRequest& request, v1::Item* item) {
  if (item->value_size() == 0) {
    return absl::OkStatus();
  }
  v1::ReadValueRequest read;
  read.set_database(request.database());
  read.set_store(request.store());
  read.set_transaction_id(request.transaction_id());
  *read.mutable_key() = item->key();
  read.set_item_id(item->item_id());
  SOP_ASSIGN_OR_RETURN(v1::ReadValueResponse whole, session.connection().ReadValue(read));
  item->mutable_value()->set_allocated_content(whole.release_content());
  item->mutable_value()->set_format(whole.format());
  return absl::OkStatus();
}

}  // namespace sop::cli
