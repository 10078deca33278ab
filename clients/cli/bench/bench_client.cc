#include "clients/cli/bench/bench_client.h"

#include <utility>

#include "core/base/status_macros.h"

namespace sop::cli {

BenchClient::BenchClient(const Options& options)
    : options_(options),
      connection_({.address = options.address,
                   .timeout = options.timeout,
                   .sharing = client::ChannelSharing::kOwn}) {}

absl::Status BenchClient::CreateStore() {
  v1::CreateBtreeRequest request;
  request.set_database(options_.database);
  request.set_store(options_.store);
  request.mutable_options()->mutable_schema()->set_shape(v1::KEY_SHAPE_SCALAR);
  request.mutable_options()->mutable_schema()->add_fields()->set_type(v1::SCALAR_TYPE_INT64);
  return connection_.Call(connection_.btree(), &v1::BtreeService::Stub::CreateBtree, request)
      .status();
}

absl::Status BenchClient::RemoveStore() {
  v1::RemoveStoreRequest request;
  request.set_database(options_.database);
  request.set_store(options_.store);
  return connection_.Call(connection_.databases(), &v1::DatabaseService::Stub::RemoveStore, request)
      .status();
}

absl::StatusOr<uint64_t> BenchClient::Count() {
  v1::CountRequest request;
  request.set_database(options_.database);
  request.set_store(options_.store);
  SOP_ASSIGN_OR_RETURN(
      const v1::CountResponse response,
      connection_.Call(connection_.btree(), &v1::BtreeService::Stub::Count, request));
  return response.count();
}

absl::Status BenchClient::Put(std::span<const Pair> items, const std::string& transaction) {
  v1::UpsertRequest request;
  request.set_database(options_.database);
  request.set_store(options_.store);
  request.set_transaction_id(transaction);
  for (const Pair& pair : items) {
    v1::WriteItem* item = request.add_items();
    item->mutable_key()->set_int64_value(pair.key);
    item->mutable_value()->set_format(v1::VALUE_FORMAT_BYTES);
    item->mutable_value()->set_content(pair.value.data(), pair.value.size());
  }
  return connection_.Call(connection_.btree(), &v1::BtreeService::Stub::Upsert, request).status();
}

absl::StatusOr<std::vector<std::optional<std::string>>> BenchClient::Get(
    std::span<const int64_t> keys, const std::string& transaction) {
  v1::GetRequest request;
  request.set_database(options_.database);
  request.set_store(options_.store);
  request.set_transaction_id(transaction);
  for (const int64_t key : keys) request.add_keys()->set_int64_value(key);
  SOP_ASSIGN_OR_RETURN(
      v1::GetResponse response,
      connection_.Call(connection_.btree(), &v1::BtreeService::Stub::Get, request));
  std::vector<std::optional<std::string>> values(keys.size());
  int missing = 0;
  int found = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (missing < response.missing_size() && response.missing(missing) == i) {
      ++missing;
    } else if (found < response.items_size()) {
      values[i] = std::move(*response.mutable_items(found)->mutable_value()->mutable_content());
      ++found;
    } else {
      return absl::InternalError("the server answered fewer items than were asked for");
    }
  }
  return values;
}

absl::StatusOr<uint64_t> BenchClient::Scan(int64_t from, uint32_t most) {
  v1::ReadPageRequest request;
  request.set_database(options_.database);
  request.set_store(options_.store);
  request.mutable_range()->mutable_begin()->set_int64_value(from);
  request.set_page_size(most);
  SOP_ASSIGN_OR_RETURN(
      const v1::ReadPageResponse response,
      connection_.Call(connection_.btree(), &v1::BtreeService::Stub::ReadPage, request));
  return static_cast<uint64_t>(response.items_size());
}

absl::StatusOr<std::string> BenchClient::Begin() {
  v1::BeginRequest request;
  request.set_database(options_.database);
  SOP_ASSIGN_OR_RETURN(
      const v1::BeginResponse response,
      connection_.Call(connection_.transactions(), &v1::TransactionService::Stub::Begin, request));
  return response.transaction_id();
}

absl::Status BenchClient::Commit(const std::string& transaction) {
  v1::CommitRequest request;
  request.set_database(options_.database);
  request.set_transaction_id(transaction);
  return connection_
      .Call(connection_.transactions(), &v1::TransactionService::Stub::Commit, request)
      .status();
}

void BenchClient::Rollback(const std::string& transaction) {
  v1::RollbackRequest request;
  request.set_database(options_.database);
  request.set_transaction_id(transaction);
  connection_.Call(connection_.transactions(), &v1::TransactionService::Stub::Rollback, request)
      .IgnoreError();
}

}  // namespace sop::cli
