#include "clients/cli/shell/store_names.h"

#include "absl/time/clock.h"

namespace sop::cli {

namespace {

constexpr absl::Duration kKept = absl::Seconds(5);
constexpr absl::Duration kPatience = absl::Seconds(1);
constexpr uint32_t kPageSize = 1000;
// More names than that help nobody.
constexpr size_t kMostNames = 10'000;

}  // namespace

const std::vector<std::string>& StoreNames::Get() {
  if (absl::Now() - asked_at_ < kKept) {
    return names_;
  }
  names_.clear();
  if (connection_ == nullptr) {
    connection_ = std::make_unique<Connection>(
        Connection::Options{.address = session_.flags.address, .timeout = kPatience});
  }
  v1::ListStoresRequest request;
  request.set_database(session_.flags.database);
  request.set_transaction_id(session_.connection().transaction());
  request.set_page_size(kPageSize);
  do {
    const auto response = connection_->Call(connection_->databases(),
                                            &v1::DatabaseService::Stub::ListStores, request);
    if (!response.ok()) {
      break;
    }
    for (const v1::Store& store : response->stores()) {
      names_.push_back(store.name());
    }
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty() && names_.size() < kMostNames);
  asked_at_ = absl::Now();
  return names_;
}

}  // namespace sop::cli
