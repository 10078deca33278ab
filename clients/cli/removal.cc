#include "clients/cli/removal.h"

#include <fmt/format.h>

#include <utility>

#include "clients/cli/session/open_transaction.h"
#include "clients/cli/session/scanner.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

// One request stays far below the limits of items and bytes.
constexpr int kRemovalsPerRequest = 10'000;
constexpr size_t kRemovalSizeBytes = 1 << 20;

absl::Status Send(Session& session, v1::RemoveRequest& request) {
  if (request.items_size() == 0) {
    return absl::OkStatus();
  }
  Connection& connection = session.connection();
  SOP_RETURN_IF_ERROR(
      connection.Call(connection.btree(), &v1::BtreeService::Stub::Remove, request).status());
  request.clear_items();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> CountRange(Session& session, const v1::ScanRequest& scan) {
  v1::CountRequest request;
  request.set_database(scan.database());
  request.set_store(scan.store());
  request.set_transaction_id(scan.transaction_id());
  *request.mutable_range() = scan.range();
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(
      const v1::CountResponse response,
      connection.Call(connection.btree(), &v1::BtreeService::Stub::Count, request));
  return response.count();
}

// The keys are read before the first of them is removed.
absl::StatusOr<std::vector<v1::WriteItem>> ReadKeys(Session& session, const v1::ScanRequest& scan,
                                                    const StoreKeys& keys) {
  std::vector<v1::WriteItem> items;
  SOP_RETURN_IF_ERROR(ScanStore(session, scan, keys, [&items](const ScannedItem& scanned) {
    v1::WriteItem item;
    KeyToProto(scanned.key, item.mutable_key());
    if (!scanned.item_id.IsZero()) {
      item.set_item_id(scanned.item_id.Bytes());
    }
    items.push_back(std::move(item));
    return absl::OkStatus();
  }));
  return items;
}

void PrintRemoved(Session& session, uint64_t count, const std::string& commit_version) {
  if (session.terminal.json()) {
    session.terminal.PrintJson(
        {{"removed", count}, {"commit_version", VersionText(commit_version)}});
  } else {
    session.terminal.Note(fmt::format("{} removed", WithCommas(count)));
  }
}

}  // namespace

absl::Status RemoveKeys(Session& session, const std::string& store,
                        const std::vector<std::string>& keys) {
  SOP_ASSIGN_OR_RETURN(const StoreKeys store_keys, session.GetKeys(store));
  v1::RemoveRequest request;
  request.set_database(session.flags.database);
  request.set_store(store);
  request.set_request_id(Connection::MakeRequestId());
  request.set_require_all(true);
  for (const std::string& text : keys) {
    SOP_ASSIGN_OR_RETURN(const btree::Key key, ParseKey(store_keys, text));
    KeyToProto(key, request.add_items()->mutable_key());
  }
  Connection& connection = session.connection();
  SOP_ASSIGN_OR_RETURN(
      const v1::RemoveResponse response,
      connection.Call(connection.btree(), &v1::BtreeService::Stub::Remove, request));
  PrintRemoved(session, keys.size(), response.commit_version());
  return absl::OkStatus();
}

absl::Status RemoveRange(Session& session, const std::string& store, const RangeText& range) {
  SOP_ASSIGN_OR_RETURN(const auto transaction, OpenTransaction::Join(session, {}));
  SOP_ASSIGN_OR_RETURN(const StoreKeys keys, session.GetKeys(store, transaction->id()));
  v1::ScanRequest scan;
  scan.set_database(session.flags.database);
  scan.set_store(store);
  scan.set_transaction_id(transaction->id());
  scan.set_content(v1::ITEM_CONTENT_KEYS);
  SOP_ASSIGN_OR_RETURN(*scan.mutable_range(), MakeRange(keys, range));
  SOP_ASSIGN_OR_RETURN(const uint64_t count, CountRange(session, scan));
  SOP_ASSIGN_OR_RETURN(const bool agreed, session.terminal.Confirm(fmt::format(
                                              "Remove {} items of store {}? This cannot be undone.",
                                              WithCommas(count), PrintableLine(store))));
  if (!agreed) {
    session.terminal.Note("nothing was removed");
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(std::vector<v1::WriteItem> items, ReadKeys(session, scan, keys));
  v1::RemoveRequest request;
  request.set_database(session.flags.database);
  request.set_store(store);
  request.set_transaction_id(transaction->id());
  size_t size_bytes = 0;
  for (v1::WriteItem& item : items) {
    size_bytes += item.ByteSizeLong();
    *request.add_items() = std::move(item);
    if (request.items_size() >= kRemovalsPerRequest || size_bytes >= kRemovalSizeBytes) {
      SOP_RETURN_IF_ERROR(Send(session, request));
      size_bytes = 0;
    }
  }
  SOP_RETURN_IF_ERROR(Send(session, request));
  SOP_ASSIGN_OR_RETURN(const std::string version, transaction->Commit());
  PrintRemoved(session, items.size(), version);
  return absl::OkStatus();
}

}  // namespace sop::cli
