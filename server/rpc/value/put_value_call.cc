#include "server/rpc/value/put_value_call.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/limits.h"
#include "core/catalog/ordered_store.h"
#include "fmt/format.h"
#include "server/convert/key.h"

namespace sop::rpc {
namespace {

// A piece and a part of it on their way.
constexpr int64_t kStreamBytes = int64_t{1} << 20;

absl::Status TooLarge(uint64_t size) {
  return Error(
      Reason::kInvalidValue,
      fmt::format("value has {} bytes or more; the limit is {}", size, btree::kMaxValueSizeBytes),
      {{"limit", fmt::format("{}", btree::kMaxValueSizeBytes)}});
}

}  // namespace

PutValueCall::PutValueCall(const OperationRunner::Parts& parts, OperationRunner& runner,
                           const grpc::CallbackServerContext& context,
                           v1::PutValueResponse* response)
    : Call(parts.dispatcher,
           parts.dispatcher.methods().ForRequest(v1::PutValueRequest::descriptor()),
           ArrivalOf(context, parts.dispatcher.clock())),
      parts_(parts),
      runner_(runner),
      response_(response) {}

void PutValueCall::Start() {
  const absl::Status counted = scope().CheckCount();
  if (!counted.ok()) return Complete(counted);
  StartRead(&message_);
}

void PutValueCall::OnReadDone(bool ok) {
  if (!ok) {
    const absl::Status wanted = context().CheckWanted();
    return Complete(!wanted.ok() ? wanted
                                 : Error(Reason::kInvalidArgument,
                                         "the stream ended before a message with `end`",
                                         {{"field", "end"}}));
  }
  if (!prepared_) return TakeFirst();
  if (transaction_ != nullptr) transaction_->Touch();
  parts_.dispatcher.workers().Schedule([this] { GoOn(Take(/*first=*/false)); });
}

void PutValueCall::TakeFirst() {
  prepared_ = true;
  const absl::Status ready = Prepare();
  if (!ready.ok()) return Complete(ready);
  if (transaction_ == nullptr) {
    parts_.dispatcher.workers().Schedule([this] {
      auto opened = parts_.databases.Acquire(header_.database());
      if (!opened.ok()) return Complete(opened.status());
      database_ = *std::move(opened);
      context().counted = database_;
      auto stores = database_->engine->Begin({.mode = txn::Mode::kReadOnly});
      const absl::Status found = stores->Explain(FindTree(*stores));
      // The stores go first: the call may be the last to hold the database.
      stores.reset();
      GoOn(found.ok() ? Take(/*first=*/true) : found);
    });
    return;
  }
  transaction_->WhenFree([this](session::Turn turn) {
    parts_.dispatcher.workers().Schedule([this, turn = std::move(turn)]() mutable {
      absl::Status found = turn->CheckOpen();
      if (found.ok()) found = turn->stores().Explain(FindTree(turn->stores()));
      if (turn->ended()) parts_.transactions.Remove(*turn);
      { const session::Turn over = std::move(turn); }
      GoOn(found.ok() ? Take(/*first=*/true) : found);
    });
  });
}

absl::Status PutValueCall::Prepare() {
  SOP_RETURN_IF_ERROR(scope().Admit(message_));
  header_ = message_;
  header_.clear_content();
  if (header_.item().value().content().size() > 0) {
    return Error(Reason::kInvalidArgument, "item.value.content was given; the value goes in parts",
                 {{"field", "item.value.content"}});
  }
  SOP_ASSIGN_OR_RETURN(const btree::ValueFormat format,
                       convert::FormatFromProto(header_.item().value().format()));
  is_text_ = format != btree::ValueFormat::kBytes;
  SOP_ASSIGN_OR_RETURN(const TransactionId id,
                       convert::UuidFromProto("transaction_id", header_.transaction_id()));
  if (!scope().GrowAnswer(kStreamBytes)) return scope().RefuseAnswer();
  held_bytes_ = kStreamBytes;
  if (id.IsZero()) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(transaction_, parts_.transactions.Find(id, header_.database()));
  database_ = transaction_->shared_database();
  context().counted = database_;
  return absl::OkStatus();
}

absl::Status PutValueCall::FindTree(catalog::StoreSet& stores) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * store,
                       stores.Open(header_.store(), catalog::StoreKind::kBtree));
  value_.tree = stores.transaction().tree_id(store->tree(catalog::kItemsRole));
  return absl::OkStatus();
}

absl::Status PutValueCall::Take(bool first) {
  SOP_RETURN_IF_ERROR(context().CheckWanted());
  if (!first) SOP_RETURN_IF_ERROR(scope().CheckPart(message_));
  if (message_.content().size() > kMaxPartBytes) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("content has {} bytes; the limit of one message is {}",
                             message_.content().size(), kMaxPartBytes),
                 {{"field", "content"}, {"limit", fmt::format("{}", kMaxPartBytes)}});
  }
  if (is_text_ && !text_.Add(message_.content())) {
    return Error(Reason::kInvalidValue, "value is text but not valid UTF-8");
  }
  SOP_RETURN_IF_ERROR(Append(message_.content()));
  return message_.end() ? Finish() : absl::OkStatus();
}

absl::Status PutValueCall::Append(const std::string& content) {
  const uint64_t size = value_.size() + content.size();
  if (size > btree::kMaxValueSizeBytes) return TooLarge(size);
  const bool large = size > persistence::kMaxWholeValueBytes;
  if (large && value_.staged == nullptr && value_.tree.has_value()) {
    SOP_ASSIGN_OR_RETURN(value_.staged, database_->engine->engine().StageValue(*value_.tree));
    SOP_RETURN_IF_ERROR(value_.staged->Append(value_.whole));
    value_.whole = std::string();
  }
  if (value_.staged != nullptr) return value_.staged->Append(content);
  const auto more = static_cast<int64_t>(size) + kStreamBytes - held_bytes_;
  if (large && more > 0) {
    if (!scope().GrowAnswer(more)) return scope().RefuseAnswer();
    held_bytes_ += more;
  }
  value_.whole.append(content);
  return absl::OkStatus();
}

absl::Status PutValueCall::Finish() {
  if (is_text_ && !text_.AtEnd()) {
    return Error(Reason::kInvalidValue, "value is text but not valid UTF-8");
  }
  return value_.staged != nullptr ? value_.staged->Seal() : absl::OkStatus();
}

void PutValueCall::GoOn(const absl::Status& taken) {
  if (!taken.ok()) return Complete(taken);
  if (!message_.end()) return StartRead(&message_);
  context().incoming = &value_;
  set_thread(Thread::kMayBlock);
  runner_.Start(*this, header_, *response_);
}

void PutValueCall::Complete(const absl::Status& status) {
  // What no commit took is collected now, not when the client has read the answer.
  value_ = {};
  grpc::ServerReadReactor<v1::PutValueRequest>::Finish(scope().Conclude(status));
}

void PutValueCall::OnDone() {
  scope().Record(response_->GetCachedSize());
  delete this;
}

}  // namespace sop::rpc
