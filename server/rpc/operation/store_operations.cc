#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/ordered_store.h"
#include "fmt/format.h"
#include "google/protobuf/message.h"
#include "server/convert/store.h"
#include "server/load/admission.h"
#include "server/rpc/operation/list_token.h"
#include "server/rpc/operation/operations.h"

namespace sop::rpc {
namespace {

constexpr uint32_t kDefaultListPageSize = 100;

// Entry and exact count. A store of another kind has no count of items.
absl::Status Describe(catalog::OpenStore& store, v1::Store* out) {
  convert::StoreToProto(store.entry(), out);
  if (store.kind() != catalog::StoreKind::kBtree) return absl::OkStatus();
  catalog::OrderedStore items(store);
  SOP_ASSIGN_OR_RETURN(const uint64_t count, items.Count(btree::KeyRange()));
  out->set_item_count(count);
  return absl::OkStatus();
}

}  // namespace

absl::Status TakeRoom(OperationScope& scope, const google::protobuf::Message& answer) {
  const auto bytes = static_cast<int64_t>(answer.ByteSizeLong());
  scope.context.response_budget_bytes -= bytes;
  load::Admitted* const place = scope.context.place;
  return place == nullptr || place->GrowAnswer(bytes) ? absl::OkStatus() : place->RefuseAnswer();
}

absl::StatusOr<uint32_t> CheckedSize(std::string_view field, uint32_t given, uint32_t fallback,
                                     uint32_t most) {
  if (given <= most) return given == 0 ? fallback : given;
  return Error(Reason::kInvalidArgument, fmt::format("{} is {}, limit {}", field, given, most),
               {{"field", std::string(field)}, {"limit", fmt::format("{}", most)}});
}

absl::Status Run(OperationScope& scope, const v1::CreateBtreeRequest& request,
                 v1::CreateBtreeResponse* response) {
  catalog::StoreDefinition definition;
  SOP_ASSIGN_OR_RETURN(definition.options, convert::OptionsFromProto(request.options()));
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * store,
                       scope.stores.Create(request.store(), definition));
  response->set_created(store->created());
  convert::StoreToProto(store->entry(), response->mutable_store());
  // Made already: too late to refuse it for want of memory.
  scope.context.response_budget_bytes -= static_cast<int64_t>(response->ByteSizeLong());
  return absl::OkStatus();
}

absl::Status Run(OperationScope& scope, const v1::OpenBtreeRequest& request,
                 v1::OpenBtreeResponse* response) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * store,
                       scope.stores.Open(request.store(), catalog::StoreKind::kBtree));
  convert::StoreToProto(store->entry(), response->mutable_store());
  return TakeRoom(scope, *response);
}

absl::Status Run(OperationScope& scope, const v1::ListStoresRequest& request,
                 v1::ListStoresResponse* response) {
  SOP_ASSIGN_OR_RETURN(
      const uint32_t page_size,
      CheckedSize("page_size", request.page_size(), kDefaultListPageSize, kMaxListPageSize));
  constexpr std::string_view kList = "stores";
  SOP_ASSIGN_OR_RETURN(const std::string last, ReadListToken(kList, request.page_token()));
  SOP_ASSIGN_OR_RETURN(auto entries, scope.stores.List(last, page_size + 1));
  const bool more = entries.size() > page_size;
  if (more) entries.pop_back();
  for (const auto& entry : entries) {
    SOP_RETURN_IF_ERROR(scope.context.CheckWanted());
    const auto store = scope.stores.Open(entry->name);
    const absl::Status described =
        store.ok() ? Describe(**store, response->add_stores()) : store.status();
    if (described.ok()) continue;
    // One that is damaged is there all the same; nobody can say how many items it has.
    if (ReasonOf(scope.stores.Explain(described)) != Reason::kDamaged) return described;
    if (!store.ok()) convert::StoreToProto(*entry, response->add_stores());
  }
  if (more) response->set_next_page_token(MakeListToken(kList, entries.back()->name));
  return TakeRoom(scope, *response);
}

absl::Status Run(OperationScope& scope, const v1::GetStoreRequest& request,
                 v1::GetStoreResponse* response) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * store, scope.stores.Open(request.store()));
  SOP_RETURN_IF_ERROR(Describe(*store, response->mutable_store()));
  SOP_RETURN_IF_ERROR(TakeRoom(scope, *response));
  if (!request.with_size()) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(const uint64_t size, scope.database.engine->ApproximateSize(store->entry()));
  response->mutable_store()->set_size_bytes(size);
  return absl::OkStatus();
}

absl::Status Run(OperationScope& scope, const v1::RemoveStoreRequest& request,
                 v1::RemoveStoreResponse*) {
  return scope.stores.Remove(request.store());
}

}  // namespace sop::rpc
