#include "server/rpc/scan_call.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "server/rpc/operation/scan_request.h"

namespace sop::rpc {
namespace {

// Pages begin so large, and grow as long as the client keeps up with them: one that does not holds
// two of the first size.
constexpr uint32_t kDefaultPageBytes = 64 << 10;
constexpr uint32_t kMaxDefaultPageBytes = 512 << 10;
constexpr uint32_t kShortPageBytes = 32 << 10;
// A page may exceed what was asked for by one item.
constexpr int64_t kPageBudgetBytes = Dispatcher::kMaxMessageBytes - (64 << 10);

using google::protobuf::io::CodedOutputStream;

// The tag of a field of bytes on the wire.
constexpr uint32_t BytesTag(int field) { return static_cast<uint32_t>(field) << 3 | 2; }

// Tag and length of a field of bytes, and the bytes of those that are given.
void AppendBytesField(int field, size_t size, std::string_view bytes, std::string* out) {
  uint8_t head[10];
  uint8_t* end = CodedOutputStream::WriteVarint32ToArray(BytesTag(field), head);
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(size), end);
  out->append(reinterpret_cast<const char*>(head), static_cast<size_t>(end - head));
  out->append(bytes);
}

grpc::Slice SliceOf(btree::PageBytes piece) {
  const size_t size = piece.size();
  return grpc::Slice(piece.Release().release(), size,
                     [](void* bytes) { delete[] static_cast<char*>(bytes); });
}

// A serialised ScanResponse.
grpc::ByteBuffer MessageOf(std::string_view commit_version, std::vector<btree::PageBytes> page,
                           bool end) {
  size_t page_bytes = 0;
  for (const btree::PageBytes& piece : page) page_bytes += piece.size();
  std::string head;
  if (!commit_version.empty()) {
    AppendBytesField(v1::ScanResponse::kCommitVersionFieldNumber, commit_version.size(),
                     commit_version, &head);
  }
  AppendBytesField(v1::ScanResponse::kPageFieldNumber, page_bytes, {}, &head);
  std::vector<grpc::Slice> slices;
  slices.reserve(page.size() + 2);
  slices.emplace_back(head);
  for (btree::PageBytes& piece : page) slices.push_back(SliceOf(std::move(piece)));
  if (end) {
    const char last[] = {v1::ScanResponse::kEndFieldNumber << 3, 1};
    slices.emplace_back(last, sizeof(last));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace

ScanCall::ScanCall(const OperationRunner::Parts& parts, const grpc::CallbackServerContext& context,
                   const grpc::ByteBuffer& request)
    : parts_(parts),
      scope_(parts.dispatcher, parts.dispatcher.methods().ForRequest(v1::ScanRequest::descriptor()),
             context) {
  const absl::Status ready = Prepare(request);
  if (!ready.ok()) {
    End(ready);
    return;
  }
  {
    base::MutexLock lock(mu_);
    making_ = true;
  }
  ScheduleNext();
}

absl::Status ScanCall::Prepare(const grpc::ByteBuffer& request) {
  grpc::ByteBuffer bytes = request;
  if (!grpc::SerializationTraits<v1::ScanRequest>::Deserialize(&bytes, &request_).ok()) {
    return Error(Reason::kInvalidArgument, "message is no ScanRequest");
  }
  SOP_RETURN_IF_ERROR(scope_.Admit(request_));
  SOP_ASSIGN_OR_RETURN(page_bytes_, CheckedSize("page_bytes", request_.page_bytes(),
                                                kDefaultPageBytes, kMaxPageBytes));
  most_page_bytes_ = request_.page_bytes() == 0 ? kMaxDefaultPageBytes : page_bytes_;
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
    parts_.dispatcher.workers().Schedule([this] { MakeAlone(); });
    return;
  }
  transaction_->WhenFree([this](session::Turn turn) {
    parts_.dispatcher.workers().Schedule([this, turn = std::move(turn)] {
      auto made = MakeInTransaction(*turn);
      if (turn->ended()) parts_.transactions.Remove(*turn);
      turn->database().metrics.operations->Increment();
      Deliver(std::move(made));
    });
  });
}

absl::StatusOr<ScanCall::Page> ScanCall::MakeInTransaction(session::OpenTransaction& transaction) {
  SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
  SOP_RETURN_IF_ERROR(transaction.CheckOpen());
  const auto make = [&]() -> absl::StatusOr<Page> {
    SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open,
                         transaction.stores().Open(request_.store(), catalog::StoreKind::kBtree));
    catalog::OrderedStore store(*open);
    SOP_ASSIGN_OR_RETURN(catalog::ScanRequest range, ScanFromProto(store, request_));
    if (!next_page_token_.empty()) range.start = catalog::PageToken{next_page_token_};
    SOP_ASSIGN_OR_RETURN(const auto scan, store.Scan(range));
    return FillPage(store, *scan, transaction.read_version());
  };
  auto made = make();
  if (!made.ok()) return transaction.stores().Explain(made.status());
  return made;
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

void ScanCall::MakeAlone() {
  const auto make = [this]() -> absl::StatusOr<Page> {
    SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
    if (scan_ == nullptr) SOP_RETURN_IF_ERROR(StartAlone());
    return FillPage(*store_, *scan_, stores_->transaction().read_version());
  };
  const auto make_or_explain = [&]() -> absl::StatusOr<Page> {
    auto made = make();
    if (!made.ok() && stores_ != nullptr) return stores_->Explain(made.status());
    return made;
  };
  // This may be gone once there is no other page to make.
  while (Deliver(make_or_explain()) == Then::kMakeAnother) {
  }
}

absl::StatusOr<ScanCall::Page> ScanCall::FillPage(catalog::OrderedStore& store,
                                                  catalog::OrderedScan& scan, Sequence version) {
  SOP_ASSIGN_OR_RETURN(const uint32_t page_bytes, TakeMemory());
  PageWriter writer(store, content_, PageWriter::Form::kPacked, {.budget_bytes = kPageBudgetBytes},
                    nullptr);
  writer.packed()->Expect(page_bytes);
  catalog::PageLimits limits = {.max_size_bytes = page_bytes};
  if (request_.has_filter()) limits.max_examined = kMaxExaminedItems;
  if (request_.limit() != 0) limits.max_items = request_.limit() - made_items_;
  SOP_ASSIGN_OR_RETURN(catalog::PageEnd end, scan.FillPacked(limits, writer.packed()));
  made_items_ += end.items;
  next_page_token_ = std::move(end.next_page_token);
  Page page;
  page.end = end.end || (request_.limit() != 0 && made_items_ >= request_.limit());
  page.message =
      MessageOf(std::exchange(made_first_, true) ? std::string() : convert::CommitVersion(version),
                writer.packed()->FinishPieces(), page.end);
  page.size_bytes = static_cast<int64_t>(page.message.Length());
  return page;
}

absl::StatusOr<uint32_t> ScanCall::TakeMemory() {
  base::MutexLock lock(mu_);
  // Streams share half of the memory: when it is taken, those that stall with large pages leave the
  // others short ones, and requests their half.
  const base::MemoryBudget& budget = parts_.dispatcher.admission().budget();
  const bool short_of_memory = !budget.HasRoom(budget.limit_bytes() / 2);
  const uint32_t wanted = short_of_memory ? std::min(page_bytes_, kShortPageBytes) : page_bytes_;
  for (const uint32_t size : {wanted, std::min(page_bytes_, kShortPageBytes)}) {
    if (!scope_.GrowAnswer(size)) continue;
    making_bytes_ = size;
    return size;
  }
  if (!made_first_ || writing_) return scope_.RefuseAnswer();
  // Nobody is told to come again in the middle of what he reads.
  making_bytes_ = kShortPageBytes;
  HoldPagesLocked();
  return kShortPageBytes;
}

ScanCall::Then ScanCall::Postpone() {
  {
    base::MutexLock lock(mu_);
    making_ = !writing_;
    if (!making_) return Then::kStop;
  }
  // The one before has left meanwhile.
  if (transaction_ == nullptr) return Then::kMakeAnother;
  ScheduleNext();
  return Then::kStop;
}

ScanCall::Then ScanCall::Deliver(absl::StatusOr<Page> made) {
  bool write = false;
  bool another = false;
  absl::Status failed;
  if (made_first_ && ReasonOf(made.status()) == Reason::kOverloaded) return Postpone();
  {
    base::MutexLock lock(mu_);
    making_bytes_ = 0;
    failed_.Update(made.status());
    if (!failed_.ok()) {
      making_ = false;
      if (writing_) return Then::kStop;
      failed = failed_;
    } else if (writing_) {
      ready_ = *std::move(made);
      making_ = false;
    } else {
      // The client takes pages faster than they are made.
      page_bytes_ = std::min(2 * page_bytes_, most_page_bytes_);
      sending_ = *std::move(made);
      writing_ = write = true;
      making_ = another = transaction_ == nullptr && !sending_.end;
    }
    HoldPagesLocked();
  }
  if (write) StartWrite(&sending_.message);
  if (!failed.ok()) End(failed);
  return another ? Then::kMakeAnother : Then::kStop;
}

void ScanCall::OnWriteDone(bool ok) {
  bool write = false;
  bool make = false;
  bool end = false;
  absl::Status failed;
  {
    base::MutexLock lock(mu_);
    writing_ = false;
    sent_bytes_ += sending_.size_bytes;
    if (!ok) failed_.Update(Error(Reason::kCancelled, "the stream is broken"));
    if (!failed_.ok()) {
      end = !making_;
      failed = failed_;
    } else if (ready_.has_value()) {
      sending_ = *std::exchange(ready_, std::nullopt);
      writing_ = write = true;
      making_ = make = !sending_.end;
    } else if (sending_.end) {
      end = true;
    } else if (!making_) {
      making_ = make = true;
    }
    HoldPagesLocked();
  }
  if (write) StartWrite(&sending_.message);
  if (make) ScheduleNext();
  if (end) End(failed);
}

void ScanCall::HoldPagesLocked() {
  scope_.HoldAnswer((writing_ ? sending_.size_bytes : 0) +
                    (ready_.has_value() ? ready_->size_bytes : 0) + making_bytes_);
}

void ScanCall::End(const absl::Status& status) { Finish(scope_.Conclude(status)); }

void ScanCall::OnDone() {
  int64_t sent_bytes = 0;
  {
    base::MutexLock lock(mu_);
    sent_bytes = sent_bytes_;
  }
  scope_.Record(sent_bytes);
  delete this;
}

}  // namespace sop::rpc
