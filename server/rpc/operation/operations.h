#pragma once

#include "absl/status/status.h"
#include "core/catalog/store_set.h"
#include "google/protobuf/message.h"
#include "server/rpc/operation/request_context.h"
#include "server/session/open_database.h"
#include "sop/v1/btree.pb.h"
#include "sop/v1/database.pb.h"

namespace sop::rpc {

// What one operation works on: the stores of a transaction, for a call.
struct OperationScope {
  RequestContext& context;
  session::OpenDatabase& database;
  catalog::StoreSet& stores;
};

// The operations that run inside a transaction, each in one place for unary calls in and out of a
// transaction and for Execute. They fill everything but `commit_version`. Errors as the rpc's
// comment says; `response` is then unspecified.

absl::Status Run(OperationScope& scope, const v1::CreateBtreeRequest& request,
                 v1::CreateBtreeResponse* response);
absl::Status Run(OperationScope& scope, const v1::OpenBtreeRequest& request,
                 v1::OpenBtreeResponse* response);
absl::Status Run(OperationScope& scope, const v1::ListStoresRequest& request,
                 v1::ListStoresResponse* response);
absl::Status Run(OperationScope& scope, const v1::GetStoreRequest& request,
                 v1::GetStoreResponse* response);
absl::Status Run(OperationScope& scope, const v1::RemoveStoreRequest& request,
                 v1::RemoveStoreResponse* response);

absl::Status Run(OperationScope& scope, const v1::AddRequest& request, v1::AddResponse* response);
absl::Status Run(OperationScope& scope, const v1::AddIfNotExistsRequest& request,
                 v1::AddIfNotExistsResponse* response);
absl::Status Run(OperationScope& scope, const v1::UpdateRequest& request,
                 v1::UpdateResponse* response);
absl::Status Run(OperationScope& scope, const v1::UpsertRequest& request,
                 v1::UpsertResponse* response);
absl::Status Run(OperationScope& scope, const v1::UpdateKeyRequest& request,
                 v1::UpdateKeyResponse* response);
absl::Status Run(OperationScope& scope, const v1::RemoveRequest& request,
                 v1::RemoveResponse* response);
// `request` is the first message; the value is in `scope.context.incoming`.
absl::Status Run(OperationScope& scope, const v1::PutValueRequest& request,
                 v1::PutValueResponse* response);

absl::Status Run(OperationScope& scope, const v1::GetRequest& request, v1::GetResponse* response);
absl::Status Run(OperationScope& scope, const v1::SeekRequest& request, v1::SeekResponse* response);
absl::Status Run(OperationScope& scope, const v1::ReadPageRequest& request,
                 v1::ReadPageResponse* response);
absl::Status Run(OperationScope& scope, const v1::CountRequest& request,
                 v1::CountResponse* response);
absl::Status Run(OperationScope& scope, const v1::SampleRequest& request,
                 v1::SampleResponse* response);

// The limits that several calls share.
inline constexpr int kMaxItemsPerRequest = 65'536;
inline constexpr uint32_t kMaxPageSize = 10'000;
inline constexpr uint32_t kMaxListPageSize = 1'000;
inline constexpr uint32_t kMaxPageBytes = 3 << 20;
inline constexpr uint32_t kMaxSampleSize = 10'000;
// Of a value, in one message of PutValue.
inline constexpr size_t kMaxPartBytes = 1 << 20;
// Items that one page of a read looks at for its filter.
inline constexpr uint64_t kMaxExaminedItems = 100'000;

// Takes what an answer without items holds from its budget and from the memory. OVERLOADED.
absl::Status TakeRoom(OperationScope& scope, const google::protobuf::Message& answer);

// `given`, or `fallback` for 0. INVALID_ARGUMENT naming `field` if it is above `most`.
absl::StatusOr<uint32_t> CheckedSize(std::string_view field, uint32_t given, uint32_t fallback,
                                     uint32_t most);

}  // namespace sop::rpc
