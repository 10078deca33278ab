#include "clients/cli/item_writer.h"

#include <utility>

#include "absl/time/clock.h"
#include "clients/cli/session/messages.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::BtreeService::Stub;

// Half of what a message may have, so that the largest item still fits in behind.
constexpr size_t kBatchSizeBytes = 2 << 20;
constexpr int kTries = 8;
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);

bool MayRepeat(const absl::Status& status) {
  return absl::IsUnavailable(status) || ReasonIn(status) == "OVERLOADED";
}

}  // namespace

ItemWriter::~ItemWriter() {
  if (under_way_.valid()) {
    under_way_.wait();
  }
}

absl::Status ItemWriter::Write(const ImportItem& item) {
  v1::WriteItem* added = batch_.add_items();
  if (keys_.schema) {
    SOP_ASSIGN_OR_RETURN(const btree::EncodedKey encoded, keys_.schema->Encode(item.key));
    KeyToProto(encoded, added->mutable_key());
  } else {
    KeyToProto(item.key, added->mutable_key());
  }
  ValueToProto(item.value, added->mutable_value());
  batch_size_bytes_ += added->ByteSizeLong() + 8;
  if (batch_size_bytes_ < kBatchSizeBytes &&
      static_cast<uint64_t>(batch_.items_size()) < options_.batch_items) {
    return absl::OkStatus();
  }
  return SendBatch();
}

absl::Status ItemWriter::Finish() {
  SOP_RETURN_IF_ERROR(SendBatch());
  return AwaitBatch();
}

absl::Status ItemWriter::SendBatch() {
  SOP_RETURN_IF_ERROR(AwaitBatch());
  if (batch_.items_size() == 0) {
    return absl::OkStatus();
  }
  batch_.set_database(session_.flags.database);
  batch_.set_store(options_.store);
  batch_.set_transaction_id(options_.transaction_id);
  if (options_.transaction_id.empty()) {
    batch_.set_request_id(Connection::MakeRequestId());
  }
  // A thread of its own: one batch is sent while the next one is read.
  under_way_ = std::async(std::launch::async, [this, batch = std::move(batch_)]() mutable {
    return SendWithRetries(std::move(batch));
  });
  batch_ = v1::UpsertRequest();
  batch_size_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status ItemWriter::AwaitBatch() {
  if (!under_way_.valid()) {
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(const Answer answer, under_way_.get());
  commit_version_ = answer.commit_version;
  for (const int outcome : answer.report.outcomes()) {
    tally_.added += outcome == v1::WRITE_OUTCOME_ADDED ? 1 : 0;
    tally_.replaced += outcome == v1::WRITE_OUTCOME_REPLACED ? 1 : 0;
    tally_.already_there += outcome == v1::WRITE_OUTCOME_ALREADY_THERE ? 1 : 0;
  }
  return absl::OkStatus();
}

absl::StatusOr<ItemWriter::Answer> ItemWriter::SendWithRetries(v1::UpsertRequest batch) {
  absl::Duration pause = kFirstPause;
  for (int tries = 1;; ++tries) {
    absl::StatusOr<Answer> answer = SendOnce(batch);
    const bool own_transaction = options_.transaction_id.empty();
    if (answer.ok() || !own_transaction || tries == kTries) {
      return answer;
    }
    if (absl::IsAborted(answer.status())) {
      // It did not happen: what is sent now is another request.
      batch.set_request_id(Connection::MakeRequestId());
    } else if (!MayRepeat(answer.status())) {
      return answer;
    }
    absl::SleepFor(pause);
    pause *= 2;
  }
}

absl::StatusOr<ItemWriter::Answer> ItemWriter::SendOnce(const v1::UpsertRequest& batch) {
  const auto call =
      [&]<typename Request, typename Response>(
          grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
          bool require_all) -> absl::StatusOr<Answer> {
    Request request;
    request.set_database(batch.database());
    request.set_store(batch.store());
    request.set_transaction_id(batch.transaction_id());
    request.set_request_id(batch.request_id());
    if constexpr (requires { request.set_require_all(true); }) {
      request.set_require_all(require_all);
    }
    *request.mutable_items() = batch.items();
    Connection& connection = session_.connection();
    SOP_ASSIGN_OR_RETURN(Response response, connection.Call(connection.btree(), method, request));
    return Answer{response.commit_version(), std::move(*response.mutable_report())};
  };
  switch (options_.existing) {
    case ExistingItems::kKeep:
      return call(&Stub::AddIfNotExists, false);
    case ExistingItems::kFail:
      return call(&Stub::Add, true);
    case ExistingItems::kDuplicate:
      return call(&Stub::Add, false);
    case ExistingItems::kReplace:
      break;
  }
  return call(&Stub::Upsert, false);
}

}  // namespace sop::cli
