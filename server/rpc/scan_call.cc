#include "server/rpc/scan_call.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/rpc/operation/page_writer.h"
#include "server/rpc/operation/scan_request.h"

namespace sop::rpc {
namespace {

constexpr uint32_t kDefaultPageBytes = 256 << 10;
constexpr uint32_t kShortPageBytes = 32 << 10;
// A page may exceed what was asked for by one item.
constexpr int64_t kPageBudgetBytes = Dispatcher::kMaxMessageBytes - (64 << 10);

}  // namespace

ScanCall::ScanCall(const OperationRunner::Parts& parts, const grpc::CallbackServerContext& context,
                   const v1::ScanRequest& request)
    : parts_(parts),
      scope_(parts.dispatcher, parts.dispatcher.methods().ForRequest(request.GetDescriptor()),
             context),
      request_(request) {
  const absl::Status ready = Prepare();
  if (ready.ok()) {
    ScheduleNext();
  } else {
    Finish(scope_.Conclude(ready));
  }
}

absl::Status ScanCall::Prepare() {
  SOP_RETURN_IF_ERROR(scope_.Admit(request_));
  SOP_ASSIGN_OR_RETURN(page_bytes_, CheckedSize("page_bytes", request_.page_bytes(),
                                                kDefaultPageBytes, kMaxPageBytes));
  SOP_ASSIGN_OR_RETURN(content_, ContentFromProto(request_.content()));
  SOP_ASSIGN_OR_RETURN(const TransactionId id,
                       convert::UuidFromProto("transaction_id", request_.transaction_id()));
  if (id.IsZero()) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(transaction_, parts_.transactions.Find(id, request_.database()));
  scope_.context().counted = transaction_->shared_database();
  return absl::OkStatus();
}

void ScanCall::ScheduleNext() {
  if (transaction_ == nullptr) {
    parts_.dispatcher.workers().Schedule([this] {
      const absl::Status made = MakeAlone();
      Send(made, stores_ == nullptr ? Sequence{} : stores_->transaction().read_version());
    });
    return;
  }
  transaction_->WhenFree([this](session::Turn turn) {
    parts_.dispatcher.workers().Schedule(
        [this, turn = std::move(turn)] { MakeInTransaction(turn); });
  });
}

void ScanCall::MakeInTransaction(const session::Turn& turn) {
  const auto make = [&]() -> absl::Status {
    SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
    SOP_RETURN_IF_ERROR(turn->CheckOpen());
    SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                         turn->stores().Open(request_.store(), catalog::StoreKind::kBtree));
    catalog::OrderedStore store(*open);
    SOP_ASSIGN_OR_RETURN(catalog::ScanRequest scan, ScanFromProto(store, request_));
    if (!next_page_token_.empty()) scan.start = catalog::PageToken{next_page_token_};
    return FillPage(store, scan);
  };
  const absl::Status made = make();
  if (turn->ended()) parts_.transactions.Remove(*turn);
  turn->database().metrics.operations->Increment();
  Send(made, turn->read_version());
}

absl::Status ScanCall::StartAlone() {
  SOP_ASSIGN_OR_RETURN(database_, parts_.databases.Acquire(request_.database()));
  scope_.context().counted = database_;
  stores_ = database_->engine->Begin(
      {.mode = txn::Mode::kReadOnly, .isolation = txn::Isolation::kSerializable});
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                       stores_->Open(request_.store(), catalog::StoreKind::kBtree));
  store_.emplace(*open);
  SOP_ASSIGN_OR_RETURN(const catalog::ScanRequest scan, ScanFromProto(*store_, request_));
  SOP_ASSIGN_OR_RETURN(scan_, store_->Scan(scan));
  database_->metrics.operations->Increment();
  return absl::OkStatus();
}

absl::Status ScanCall::MakeAlone() {
  SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
  if (scan_ == nullptr) SOP_RETURN_IF_ERROR(StartAlone());
  return FillPage(*store_, {});
}

absl::Status ScanCall::FillPage(catalog::OrderedStore& store, const catalog::ScanRequest& scan) {
  PageWriter writer(store, content_, PageWriter::Form::kPacked, kPageBudgetBytes, nullptr);
  const auto sink = [&](const btree::PackedItem& item) { return writer.Append(item); };
  // Many slow readers hold a page each: they get small ones when memory is short.
  const bool room = parts_.dispatcher.admission().budget().HasRoom(2 * int64_t{page_bytes_});
  catalog::PageLimits limits = {.max_size_bytes =
                                    room ? page_bytes_ : std::min(page_bytes_, kShortPageBytes)};
  if (request_.limit() != 0) limits.max_items = request_.limit() - sent_items_;
  auto end = scan_ != nullptr ? scan_->Fill(limits, sink) : store.ReadPage(scan, limits, sink);
  SOP_RETURN_IF_ERROR(writer.status());
  SOP_RETURN_IF_ERROR(end.status());
  sent_items_ += end->items;
  response_.Clear();
  response_.set_page(writer.FinishPacked());
  response_.set_end(end->end || (request_.limit() != 0 && sent_items_ >= request_.limit()));
  next_page_token_ = std::move(end->next_page_token);
  return absl::OkStatus();
}

void ScanCall::Send(const absl::Status& made, Sequence version) {
  if (!made.ok()) return Finish(scope_.Conclude(made));
  if (sent_bytes_ == 0) response_.set_commit_version(convert::CommitVersion(version));
  const auto size = static_cast<int64_t>(response_.ByteSizeLong());
  scope_.HoldAnswer(size);
  sent_bytes_ += size;
  StartWrite(&response_);
}

void ScanCall::OnWriteDone(bool ok) {
  if (!ok) return Finish(scope_.Conclude(Error(Reason::kCancelled, "the stream is broken")));
  if (response_.end()) return Finish(scope_.Conclude(absl::OkStatus()));
  ScheduleNext();
}

void ScanCall::OnDone() {
  scope_.Record(sent_bytes_);
  delete this;
}

}  // namespace sop::rpc
