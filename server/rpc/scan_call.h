#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/mutex.h"
#include "core/catalog/ordered_store.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/rpc/operation/page_writer.h"
#include "server/rpc/operation_runner.h"
#include "sop/v1/btree.pb.h"

namespace sop::rpc {

// BtreeService.Scan under way. Pages are made on the workers, one at a time, and leave without
// another copy: messages are put together from the columns of the page. Outside a transaction all
// pages are of one snapshot, and one page is made while another is written. In a transaction every
// page takes its own turn, so that other requests of the transaction come in between. Deletes
// itself when gRPC is done with it. Thread-safe.
class ScanCall : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  // What `parts` names outlives this; `request` holds a ScanRequest.
  ScanCall(const OperationRunner::Parts& parts, const grpc::CallbackServerContext& context,
           const grpc::ByteBuffer& request);

  void OnWriteDone(bool ok) override SOP_EXCLUDES(mu_);
  void OnCancel() override { scope_.context().Cancel(); }
  void OnDone() override SOP_EXCLUDES(mu_);

 private:
  // One message, serialised.
  struct Page {
    grpc::ByteBuffer message;
    int64_t size_bytes = 0;
    bool end = false;
  };
  enum class Then { kStop, kMakeAnother };

  absl::Status Prepare(const grpc::ByteBuffer& request);
  // Makes the next page on a worker. REQUIRES: making_ was set.
  void ScheduleNext();
  absl::StatusOr<Page> MakeInTransaction(session::OpenTransaction& transaction);
  void MakeAlone();
  absl::Status StartAlone();
  // The next page of `scan`.
  absl::StatusOr<Page> FillPage(catalog::OrderedStore& store, catalog::OrderedScan& scan,
                                Sequence version);
  // Takes memory for the next page: as many bytes as it may have. OVERLOADED if there is none.
  absl::StatusOr<uint32_t> TakeMemory() SOP_EXCLUDES(mu_);
  // There was no memory for a page ahead: it is made when the one before has left.
  Then Postpone() SOP_EXCLUDES(mu_);
  // Writes the page, or keeps it for when the one before is written; after a failure ends the call.
  Then Deliver(absl::StatusOr<Page> made) SOP_EXCLUDES(mu_);
  // Counts the memory of pages that are not sent yet.
  void HoldPagesLocked() SOP_REQUIRES(mu_);
  void End(const absl::Status& status);

  const OperationRunner::Parts parts_;
  v1::ScanRequest request_;
  CallScope scope_;

  // --- Of whoever makes a page ---

  // In a transaction.
  std::shared_ptr<session::OpenTransaction> transaction_;
  std::string next_page_token_;
  // Outside one. In the order of their needs: the scan goes first.
  std::shared_ptr<session::OpenDatabase> database_;
  std::unique_ptr<catalog::StoreSet> stores_;
  std::optional<catalog::OrderedStore> store_;
  std::unique_ptr<catalog::OrderedScan> scan_;
  catalog::ItemContent content_ = catalog::ItemContent::kItems;
  uint32_t page_bytes_ = 0;
  // What page_bytes_ may grow to.
  uint32_t most_page_bytes_ = 0;
  uint64_t made_items_ = 0;
  bool made_first_ = false;

  base::Mutex mu_;
  bool making_ SOP_GUARDED_BY(mu_) = false;
  bool writing_ SOP_GUARDED_BY(mu_) = false;
  // Being written while `writing_`; touched without the lock by gRPC only then.
  Page sending_;
  // To be written next.
  std::optional<Page> ready_ SOP_GUARDED_BY(mu_);
  // Taken for the page that is being made.
  int64_t making_bytes_ SOP_GUARDED_BY(mu_) = 0;
  // Why the call ends before its last page.
  absl::Status failed_ SOP_GUARDED_BY(mu_);
  int64_t sent_bytes_ SOP_GUARDED_BY(mu_) = 0;
};

}  // namespace sop::rpc
