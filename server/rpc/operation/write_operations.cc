#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/packed_page.h"
#include "core/catalog/ordered_store.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/convert/key.h"
#include "server/rpc/operation/incoming_value.h"
#include "server/rpc/operation/operations.h"

namespace sop::rpc {
namespace {

using catalog::OrderedStore;
using catalog::Require;
using catalog::WriteReport;
using Items = std::span<const catalog::WriteItem>;

absl::StatusOr<catalog::WriteItem> ItemFromProto(const v1::WriteItem& item) {
  catalog::WriteItem write;
  SOP_ASSIGN_OR_RETURN(write.key, convert::KeyFromProto(item.key()));
  if (!item.item_id().empty()) {
    SOP_ASSIGN_OR_RETURN(write.item_id, convert::UuidFromProto("item_id", item.item_id()));
  }
  if (item.has_value()) {
    write.value = item.value().content();
    SOP_ASSIGN_OR_RETURN(write.format, convert::FormatFromProto(item.value().format()));
  }
  if (item.has_expected_version()) write.expected_version = Sequence{item.expected_version()};
  return write;
}

// Whether item ids and versions of a packed page say which items are meant, or are of another
// store.
enum class ItemIds { kUsed, kIgnored };

absl::Status AppendPacked(const std::string& packed, ItemIds ids,
                          std::vector<catalog::WriteItem>* items) {
  if (packed.empty()) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(const btree::PackedPage page, btree::PackedPage::Parse(packed));
  for (size_t i = 0; i < page.count(); ++i) {
    const btree::PackedItem item = page.item(i);
    if ((item.flags & btree::PackedItemFlags::kValueLeftOut) != 0) {
      return Error(Reason::kInvalidValue, fmt::format("item {} of the page lacks its value", i),
                   {{"field", "packed"}});
    }
    catalog::WriteItem write;
    write.key = btree::EncodedKey{std::string(item.key_prefix) + std::string(item.key),
                                  std::string(item.ride_on)};
    if ((page.columns() & btree::PageColumns::kValues) != 0) {
      write.value = item.value;
      write.format = item.format;
    }
    if (ids == ItemIds::kUsed && !item.item_id.IsZero()) write.item_id = item.item_id;
    if (ids == ItemIds::kUsed && item.version != 0) {
      write.expected_version = Sequence{item.version};
    }
    items->push_back(std::move(write));
  }
  return absl::OkStatus();
}

v1::WriteOutcome OutcomeTo(catalog::WriteOutcome outcome) {
  switch (outcome) {
    case catalog::WriteOutcome::kAdded:
      return v1::WRITE_OUTCOME_ADDED;
    case catalog::WriteOutcome::kReplaced:
      return v1::WRITE_OUTCOME_REPLACED;
    case catalog::WriteOutcome::kAlreadyThere:
      return v1::WRITE_OUTCOME_ALREADY_THERE;
    case catalog::WriteOutcome::kNotFound:
      return v1::WRITE_OUTCOME_NOT_FOUND;
    case catalog::WriteOutcome::kUpdated:
      return v1::WRITE_OUTCOME_UPDATED;
    case catalog::WriteOutcome::kRemoved:
      return v1::WRITE_OUTCOME_REMOVED;
  }
  return v1::WRITE_OUTCOME_UNSPECIFIED;
}

void ReportTo(const WriteReport& report, v1::WriteReport* out) {
  out->mutable_outcomes()->Reserve(static_cast<int>(report.outcomes.size()));
  for (const catalog::WriteOutcome outcome : report.outcomes) out->add_outcomes(OutcomeTo(outcome));
  for (const Uuid& id : report.item_ids) {
    out->add_item_ids(id.IsZero() ? std::string() : id.Bytes());
  }
}

// What all writes do around `write`, the store's own call.
template <typename Request, typename Response, typename Write>
absl::Status RunWrite(OperationScope& scope, const Request& request, Response* response,
                      ItemIds ids, Write write) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                       scope.stores.Open(request.store(), catalog::StoreKind::kBtree));
  std::vector<catalog::WriteItem> items;
  items.reserve(static_cast<size_t>(request.items_size()));
  for (const v1::WriteItem& item : request.items()) {
    SOP_ASSIGN_OR_RETURN(catalog::WriteItem converted, ItemFromProto(item));
    items.push_back(std::move(converted));
  }
  SOP_RETURN_IF_ERROR(AppendPacked(request.packed(), ids, &items));
  if (items.size() > kMaxItemsPerRequest) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("request holds {} items, limit {}", items.size(), kMaxItemsPerRequest),
                 {{"limit", fmt::format("{}", kMaxItemsPerRequest)}});
  }
  OrderedStore store(*open);
  SOP_ASSIGN_OR_RETURN(const WriteReport report, write(store, Items(items)));
  ReportTo(report, response->mutable_report());
  return absl::OkStatus();
}

template <typename Request>
Require RequireOf(const Request& request) {
  return request.require_all() ? Require::kAll : Require::kNothing;
}

}  // namespace

absl::Status Run(OperationScope& scope, const v1::AddRequest& request, v1::AddResponse* response) {
  return RunWrite(scope, request, response, ItemIds::kIgnored,
                  [&](OrderedStore& s, Items items) { return s.Add(items, RequireOf(request)); });
}

absl::Status Run(OperationScope& scope, const v1::AddIfNotExistsRequest& request,
                 v1::AddIfNotExistsResponse* response) {
  return RunWrite(scope, request, response, ItemIds::kIgnored, [&](OrderedStore& s, Items items) {
    return s.AddIfNotExists(items, RequireOf(request));
  });
}

absl::Status Run(OperationScope& scope, const v1::UpdateRequest& request,
                 v1::UpdateResponse* response) {
  return RunWrite(scope, request, response, ItemIds::kUsed, [&](OrderedStore& s, Items items) {
    return s.Update(items, RequireOf(request));
  });
}

absl::Status Run(OperationScope& scope, const v1::UpsertRequest& request,
                 v1::UpsertResponse* response) {
  return RunWrite(scope, request, response, ItemIds::kUsed,
                  [](OrderedStore& s, Items items) { return s.Upsert(items); });
}

absl::Status Run(OperationScope& scope, const v1::UpdateKeyRequest& request,
                 v1::UpdateKeyResponse* response) {
  return RunWrite(scope, request, response, ItemIds::kUsed, [&](OrderedStore& s, Items items) {
    return s.UpdateKey(items, RequireOf(request));
  });
}

absl::Status Run(OperationScope& scope, const v1::RemoveRequest& request,
                 v1::RemoveResponse* response) {
  return RunWrite(scope, request, response, ItemIds::kUsed, [&](OrderedStore& s, Items items) {
    return s.Remove(items, RequireOf(request));
  });
}

absl::Status Run(OperationScope& scope, const v1::PutValueRequest& request,
                 v1::PutValueResponse* response) {
  SOP_CHECK(scope.context.incoming != nullptr);
  const IncomingValue& value = *scope.context.incoming;
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                       scope.stores.Open(request.store(), catalog::StoreKind::kBtree));
  SOP_ASSIGN_OR_RETURN(catalog::WriteItem item, ItemFromProto(request.item()));
  SOP_ASSIGN_OR_RETURN(item.format, convert::FormatFromProto(request.item().value().format()));
  if (value.staged != nullptr) {
    if (scope.stores.transaction().tree_id(open->tree(catalog::kItemsRole)) != value.tree) {
      return Error(Reason::kStoreRemoved,
                   fmt::format("store '{}' was made anew while its value was being received",
                               base::Printable(request.store())),
                   {{"store", request.store()}});
    }
    item.value.reset();
    item.staged = value.staged;
  } else {
    item.value = value.whole;
  }
  OrderedStore store(*open);
  const Items items(&item, 1);
  const auto put = [&]() -> absl::StatusOr<WriteReport> {
    switch (request.kind()) {
      case v1::PUT_KIND_ADD:
        return store.Add(items, RequireOf(request));
      case v1::PUT_KIND_ADD_IF_NOT_EXISTS:
        return store.AddIfNotExists(items, RequireOf(request));
      case v1::PUT_KIND_UPDATE:
        return store.Update(items, RequireOf(request));
      case v1::PUT_KIND_UNSPECIFIED:
      case v1::PUT_KIND_UPSERT:
        return store.Upsert(items);
      default:
        return Error(Reason::kInvalidArgument,
                     fmt::format("kind {} does not exist", static_cast<int>(request.kind())),
                     {{"field", "kind"}});
    }
  };
  SOP_ASSIGN_OR_RETURN(const WriteReport report, put());
  ReportTo(report, response->mutable_report());
  return absl::OkStatus();
}

}  // namespace sop::rpc
