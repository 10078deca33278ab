#include "clients/cli/transfer/chunk_writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/open_transaction.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::BtreeService::Stub;

constexpr int kTries = 8;
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);

bool MayRepeat(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status) || ReasonIn(status) == "OVERLOADED";
}

void Count(const v1::WriteReport& report, WriteTally* tally) {
  for (const int outcome : report.outcomes()) {
    tally->added += outcome == v1::WRITE_OUTCOME_ADDED ? 1 : 0;
    tally->replaced += outcome == v1::WRITE_OUTCOME_REPLACED ? 1 : 0;
    tally->already_there += outcome == v1::WRITE_OUTCOME_ALREADY_THERE ? 1 : 0;
  }
}

// A row is there where the chunk begins: an earlier try, or another run, has written it.
bool RowWasThere(const absl::Status& status) {
  const Failure failure = DescribeFailure(status);
  return failure.reason == "KEY_EXISTS" &&
         std::find(failure.metadata.begin(), failure.metadata.end(),
                   std::pair<std::string, std::string>("store", ImportProgress::kStore)) !=
             failure.metadata.end();
}

}  // namespace

ChunkWriter::~ChunkWriter() {
  for (UnderWay& chunk : under_way_) {
    chunk.answer.wait();
  }
}

bool ChunkWriter::MustWaitFor(const Chunk& before, const Chunk& chunk) const {
  return !options_.transaction_id.empty() || options_.existing == ExistingItems::kFail ||
         before.MayShareKeys(chunk);
}

absl::Status ChunkWriter::Write(Chunk chunk, const ImportProgress* progress) {
  auto owned = std::make_unique<Writing>();
  owned->chunk = std::move(chunk);
  owned->progress = progress;
  for (auto next = under_way_.begin(); next != under_way_.end();) {
    const auto before = next++;
    const bool done = before->answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    if (done || under_way_.size() >= options_.most_under_way ||
        MustWaitFor(before->writing->chunk, owned->chunk)) {
      SOP_RETURN_IF_ERROR(Await(before));
    }
  }
  const Writing& writing = *owned;
  auto answer =
      std::async(std::launch::async, [this, &writing] { return WriteWithRetries(writing); });
  under_way_.push_back({std::move(owned), std::move(answer)});
  return absl::OkStatus();
}

absl::Status ChunkWriter::Await(std::list<UnderWay>::iterator under_way) {
  const absl::StatusOr<Answer> answer = under_way->answer.get();
  under_way_.erase(under_way);
  SOP_RETURN_IF_ERROR(answer.status());
  commit_version_ = std::max(commit_version_, answer->commit_version);
  tally_.added += answer->tally.added;
  tally_.replaced += answer->tally.replaced;
  tally_.already_there += answer->tally.already_there;
  tally_.by_earlier_try += answer->tally.by_earlier_try;
  return absl::OkStatus();
}

absl::Status ChunkWriter::Finish() {
  // All of them, so that what was written is counted whatever else fails.
  absl::Status first;
  while (!under_way_.empty()) {
    first.Update(Await(under_way_.begin()));
  }
  return first;
}

absl::StatusOr<ChunkWriter::Answer> ChunkWriter::WriteWithRetries(const Writing& writing) const {
  absl::Duration pause = kFirstPause;
  std::string request_id = Connection::MakeRequestId();
  for (int tries = 1;; ++tries) {
    absl::StatusOr<Answer> answer = WriteOnce(writing, request_id);
    if (answer.ok() || !options_.transaction_id.empty()) {
      return answer;
    }
    if (writing.progress != nullptr && RowWasThere(answer.status())) {
      SOP_ASSIGN_OR_RETURN(const bool same, writing.progress->Has(writing.chunk));
      if (!same) {
        return Error(Reason::kConflict,
                     "another run of this import, with other flags, is still writing",
                     {{"store", options_.store}});
      }
      Answer earlier;
      earlier.tally.by_earlier_try = writing.chunk.items;
      return earlier;
    }
    if (!MayRepeat(answer.status()) || tries == kTries) {
      return answer;
    }
    if (absl::IsAborted(answer.status())) {
      // It did not happen: what is sent now is another request.
      request_id = Connection::MakeRequestId();
    }
    absl::SleepFor(pause);
    pause *= 2;
  }
}

absl::StatusOr<ChunkWriter::Answer> ChunkWriter::WriteOnce(const Writing& writing,
                                                           const std::string& request_id) const {
  if (!options_.transaction_id.empty()) {
    Answer answer;
    SOP_RETURN_IF_ERROR(WritePages(writing.chunk, options_.transaction_id, &answer.tally));
    return answer;
  }
  const bool one_call = writing.chunk.pages.size() <= 1 && !writing.chunk.has_large;
  return one_call ? WriteInOneCall(writing, request_id) : WriteInTransaction(writing);
}

absl::StatusOr<ChunkWriter::Answer> ChunkWriter::WriteInOneCall(
    const Writing& writing, const std::string& request_id) const {
  const Chunk& chunk = writing.chunk;
  v1::ExecuteRequest request;
  request.set_database(session_.flags.database);
  request.set_request_id(request_id);
  for (const WritePage& page : chunk.pages) {
    *request.add_operations() = OperationOf(page);
  }
  if (writing.progress != nullptr) {
    *request.add_operations()->mutable_add() = writing.progress->RowOf(chunk);
  }
  Answer answer;
  if (request.operations().empty()) {
    return answer;
  }
  Connection& connection = session_.connection();
  SOP_ASSIGN_OR_RETURN(
      const v1::ExecuteResponse response,
      connection.Call(connection.transactions(), &v1::TransactionService::Stub::Execute, request));
  answer.commit_version = response.commit_version();
  if (response.results().empty()) {
    // Of a repetition whose answer would be too large.
    answer.tally.by_earlier_try = chunk.items;
  } else if (!chunk.pages.empty()) {
    const v1::OperationResult& result = response.results(0);
    Count(result.has_upsert() ? result.upsert().report()
          : result.has_add()  ? result.add().report()
                              : result.add_if_not_exists().report(),
          &answer.tally);
  }
  return answer;
}

absl::StatusOr<ChunkWriter::Answer> ChunkWriter::WriteInTransaction(const Writing& writing) const {
  SOP_ASSIGN_OR_RETURN(const auto transaction, OpenTransaction::Begin(session_, {}));
  Answer answer;
  SOP_RETURN_IF_ERROR(WritePages(writing.chunk, transaction->id(), &answer.tally));
  if (writing.progress != nullptr) {
    v1::AddRequest row = writing.progress->RowOf(writing.chunk);
    row.set_database(session_.flags.database);
    row.set_transaction_id(transaction->id());
    Connection& connection = session_.connection();
    SOP_RETURN_IF_ERROR(connection.Call(connection.btree(), &Stub::Add, row).status());
  }
  SOP_ASSIGN_OR_RETURN(answer.commit_version, transaction->Commit());
  return answer;
}

absl::Status ChunkWriter::WritePages(const Chunk& chunk, const std::string& transaction_id,
                                     WriteTally* tally) const {
  Connection& connection = session_.connection();
  const auto send = [&](auto* request, auto method) -> absl::Status {
    request->set_database(session_.flags.database);
    request->set_transaction_id(transaction_id);
    SOP_ASSIGN_OR_RETURN(const auto response,
                         connection.Call(connection.btree(), method, *request));
    Count(response.report(), tally);
    return absl::OkStatus();
  };
  for (const WritePage& page : chunk.pages) {
    if (!page.large_value.empty()) {
      SOP_ASSIGN_OR_RETURN(const v1::PutValueResponse response,
                           connection.PutValue(HeaderOf(page, transaction_id), page.large_value));
      Count(response.report(), tally);
      continue;
    }
    v1::Operation operation = OperationOf(page);
    if (operation.has_add()) {
      SOP_RETURN_IF_ERROR(send(operation.mutable_add(), &Stub::Add));
    } else if (operation.has_add_if_not_exists()) {
      SOP_RETURN_IF_ERROR(send(operation.mutable_add_if_not_exists(), &Stub::AddIfNotExists));
    } else {
      SOP_RETURN_IF_ERROR(send(operation.mutable_upsert(), &Stub::Upsert));
    }
  }
  return absl::OkStatus();
}

v1::PutValueRequest ChunkWriter::HeaderOf(const WritePage& page,
                                          const std::string& transaction_id) const {
  v1::PutValueRequest header;
  header.set_database(session_.flags.database);
  header.set_transaction_id(transaction_id);
  header.set_store(options_.store);
  *header.mutable_item() = page.messages.items(0);
  header.mutable_item()->mutable_value()->clear_content();
  switch (options_.existing) {
    case ExistingItems::kKeep:
      header.set_kind(v1::PUT_KIND_ADD_IF_NOT_EXISTS);
      break;
    case ExistingItems::kFail:
      header.set_require_all(true);
      [[fallthrough]];
    case ExistingItems::kDuplicate:
      header.set_kind(v1::PUT_KIND_ADD);
      break;
    case ExistingItems::kReplace:
      header.set_kind(v1::PUT_KIND_UPSERT);
      break;
  }
  return header;
}

v1::Operation ChunkWriter::OperationOf(const WritePage& page) const {
  v1::Operation operation;
  const auto fill = [&](auto* request) {
    request->set_store(options_.store);
    request->set_packed(page.packed);
    *request->mutable_items() = page.messages.items();
  };
  switch (options_.existing) {
    case ExistingItems::kKeep:
      fill(operation.mutable_add_if_not_exists());
      break;
    case ExistingItems::kFail:
      operation.mutable_add()->set_require_all(true);
      fill(operation.mutable_add());
      break;
    case ExistingItems::kDuplicate:
      fill(operation.mutable_add());
      break;
    case ExistingItems::kReplace:
      fill(operation.mutable_upsert());
      break;
  }
  return operation;
}

}  // namespace sop::cli
