#pragma once

#include "absl/status/status.h"
#include "core/base/error.h"
#include "sop/v1/transaction.pb.h"

namespace sop::rpc {

// Calls `visit(request, response)` with the request that is set in `operation` and a fresh response
// of its type in `result`. INVALID_ARGUMENT if none is set; otherwise what `visit` returns.
template <typename Visit>
absl::Status VisitOperation(const v1::Operation& operation, v1::OperationResult* result,
                            Visit visit) {
  switch (operation.request_case()) {
    case v1::Operation::kCreateBtree:
      return visit(operation.create_btree(), result->mutable_create_btree());
    case v1::Operation::kOpenBtree:
      return visit(operation.open_btree(), result->mutable_open_btree());
    case v1::Operation::kAdd:
      return visit(operation.add(), result->mutable_add());
    case v1::Operation::kAddIfNotExists:
      return visit(operation.add_if_not_exists(), result->mutable_add_if_not_exists());
    case v1::Operation::kUpdate:
      return visit(operation.update(), result->mutable_update());
    case v1::Operation::kUpsert:
      return visit(operation.upsert(), result->mutable_upsert());
    case v1::Operation::kUpdateKey:
      return visit(operation.update_key(), result->mutable_update_key());
    case v1::Operation::kRemove:
      return visit(operation.remove(), result->mutable_remove());
    case v1::Operation::kGet:
      return visit(operation.get(), result->mutable_get());
    case v1::Operation::kSeek:
      return visit(operation.seek(), result->mutable_seek());
    case v1::Operation::kReadPage:
      return visit(operation.read_page(), result->mutable_read_page());
    case v1::Operation::kCount:
      return visit(operation.count(), result->mutable_count());
    case v1::Operation::kListStores:
      return visit(operation.list_stores(), result->mutable_list_stores());
    case v1::Operation::kGetStore:
      return visit(operation.get_store(), result->mutable_get_store());
    case v1::Operation::kRemoveStore:
      return visit(operation.remove_store(), result->mutable_remove_store());
    case v1::Operation::kSample:
      return visit(operation.sample(), result->mutable_sample());
    case v1::Operation::REQUEST_NOT_SET:
      break;
  }
  return Error(Reason::kInvalidArgument, "operation holds no request this server knows",
               {{"field", "operations"}});
}

}  // namespace sop::rpc
