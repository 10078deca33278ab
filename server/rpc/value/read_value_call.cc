#include "server/rpc/value/read_value_call.h"

#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/key.h"

namespace sop::rpc {
namespace {

// A piece that is read and one that is sent.
constexpr int64_t kStreamBytes = 512 << 10;

}  // namespace

ReadValueCall::ReadValueCall(const OperationRunner::Parts& parts,
                             const grpc::CallbackServerContext& context,
                             const v1::ReadValueRequest& request)
    : parts_(parts),
      request_(request),
      scope_(parts.dispatcher,
             parts.dispatcher.methods().ForRequest(v1::ReadValueRequest::descriptor()), context) {
  const absl::Status ready = Prepare();
  if (!ready.ok()) {
    End(ready);
    return;
  }
  ScheduleNext();
}

absl::Status ReadValueCall::Prepare() {
  SOP_RETURN_IF_ERROR(scope_.Admit(request_));
  offset_ = request_.offset();
  if (!scope_.GrowAnswer(kStreamBytes)) return scope_.RefuseAnswer();
  SOP_ASSIGN_OR_RETURN(const TransactionId id,
                       convert::UuidFromProto("transaction_id", request_.transaction_id()));
  if (id.IsZero()) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(transaction_, parts_.transactions.Find(id, request_.database()));
  scope_.context().counted = transaction_->shared_database();
  return absl::OkStatus();
}

void ReadValueCall::ScheduleNext() {
  if (transaction_ == nullptr) {
    parts_.dispatcher.workers().Schedule([this] { MakeAlone(); });
    return;
  }
  transaction_->WhenFree([this](session::Turn turn) {
    parts_.dispatcher.workers().Schedule([this, turn = std::move(turn)]() mutable {
      const auto make = [&]() -> absl::Status {
        SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
        SOP_RETURN_IF_ERROR(turn->CheckOpen());
        SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                             turn->stores().Open(request_.store(), catalog::StoreKind::kBtree));
        catalog::OrderedStore store(*open);
        return turn->stores().Explain(Make(store, turn->stores().transaction()));
      };
      const absl::Status made = make();
      if (turn->ended()) parts_.transactions.Remove(*turn);
      { const session::Turn over = std::move(turn); }
      Deliver(made);
    });
  });
}

void ReadValueCall::MakeAlone() {
  const auto make = [this]() -> absl::Status {
    SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
    if (stores_ == nullptr) {
      SOP_ASSIGN_OR_RETURN(database_, parts_.databases.Acquire(request_.database()));
      scope_.context().counted = database_;
      stores_ = database_->engine->Begin({.mode = txn::Mode::kReadOnly});
      SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                           stores_->Open(request_.store(), catalog::StoreKind::kBtree));
      store_.emplace(*open);
    }
    return Make(*store_, stores_->transaction());
  };
  absl::Status made = make();
  if (!made.ok() && stores_ != nullptr) made = stores_->Explain(made);
  Deliver(made);
}

absl::StatusOr<catalog::StoredValue> ReadValueCall::Find(catalog::OrderedStore& store) const {
  SOP_ASSIGN_OR_RETURN(const btree::Key key, convert::KeyFromProto(request_.key()));
  std::optional<Uuid> item_id;
  if (!request_.item_id().empty()) {
    SOP_ASSIGN_OR_RETURN(item_id, convert::UuidFromProto("item_id", request_.item_id()));
  }
  SOP_ASSIGN_OR_RETURN(std::optional<catalog::StoredValue> value, store.FindValue(key, item_id));
  if (value.has_value()) return *std::move(value);
  return Error(Reason::kKeyNotFound,
               fmt::format("store '{}': key {} is not there", base::Printable(request_.store()),
                           btree::Printable(key)),
               {{"store", request_.store()}, {"key", btree::Printable(key)}});
}

absl::Status ReadValueCall::Begin(catalog::OrderedStore& store, Sequence version) {
  SOP_ASSIGN_OR_RETURN(value_, Find(store));
  const auto held = static_cast<int64_t>(value_->bytes.size());
  if (held > kStreamBytes && !scope_.GrowAnswer(held)) return scope_.RefuseAnswer();
  const bool differs =
      request_.has_expected_version() && value_->version.value != request_.expected_version();
  if (differs) {
    return Error(Reason::kPreconditionNotMet,
                 fmt::format("the item has version {}; expected was version {}",
                             value_->version.value, request_.expected_version()),
                 {{"store", request_.store()}});
  }
  if (offset_ > value_->size) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("offset is {}; the value has {} bytes", offset_, value_->size),
                 {{"field", "offset"}, {"limit", fmt::format("{}", value_->size)}});
  }
  response_.set_commit_version(convert::CommitVersion(version));
  response_.set_size(value_->size);
  response_.set_version(value_->version.value);
  response_.set_format(convert::FormatToProto(value_->format));
  if (!value_->item_id.IsZero()) response_.set_item_id(value_->item_id.Bytes());
  return absl::OkStatus();
}

absl::Status ReadValueCall::Make(catalog::OrderedStore& store,
                                 const txn::Transaction& transaction) {
  response_.Clear();
  if (!value_.has_value()) {
    SOP_RETURN_IF_ERROR(Begin(store, transaction.read_version()));
  } else if (generation_ != transaction.generation()) {
    // The transaction wrote in between.
    SOP_ASSIGN_OR_RETURN(const catalog::StoredValue now, Find(store));
    if (!(now == *value_)) {
      return Error(Reason::kPreconditionNotMet,
                   "the transaction wrote the item while it was being read",
                   {{"store", request_.store()}});
    }
  }
  generation_ = transaction.generation();
  SOP_ASSIGN_OR_RETURN(std::string part, store.ReadPart(*value_, offset_));
  offset_ += part.size();
  const bool end = offset_ == value_->size;
  if (request_.offset() == 0 && value_->checksum.has_value()) {
    checksum_.Add(part);
    if (end && checksum_.Value() != *value_->checksum) {
      return Error(Reason::kDamaged, fmt::format("value of {} bytes is damaged", value_->size));
    }
  }
  response_.set_content(std::move(part));
  response_.set_end(end);
  return absl::OkStatus();
}

void ReadValueCall::Deliver(const absl::Status& made) {
  if (!made.ok()) return End(made);
  sent_bytes_ += static_cast<int64_t>(response_.ByteSizeLong());
  StartWrite(&response_);
}

void ReadValueCall::OnWriteDone(bool ok) {
  if (!ok) return End(Error(Reason::kCancelled, "the stream is broken"));
  if (response_.end()) return End(absl::OkStatus());
  ScheduleNext();
}

void ReadValueCall::End(const absl::Status& status) { Finish(scope_.Conclude(status)); }

void ReadValueCall::OnDone() {
  scope_.Record(sent_bytes_);
  delete this;
}

}  // namespace sop::rpc
