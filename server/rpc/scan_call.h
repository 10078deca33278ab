#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/catalog/ordered_store.h"
#include "server/rpc/operation_runner.h"
#include "sop/v1/btree.pb.h"

namespace sop::rpc {

// BtreeService.Scan under way. Pages are made on the workers, one at a time. In a transaction every
// page takes its own turn, so that other requests of the transaction come in between; outside one
// all pages are of one snapshot. Deletes itself when gRPC is done with it. Confined to one page or
// write at a time.
class ScanCall : public grpc::ServerWriteReactor<v1::ScanResponse> {
 public:
  // What `parts` names outlives this; so does `request`.
  ScanCall(const OperationRunner::Parts& parts, const grpc::CallbackServerContext& context,
           const v1::ScanRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override { scope_.context().Cancel(); }
  void OnDone() override;

 private:
  absl::Status Prepare();
  // Makes the next page on a worker, then sends it.
  void ScheduleNext();
  void MakeInTransaction(const session::Turn& turn);
  absl::Status MakeAlone();
  absl::Status StartAlone();
  // Fills `response_` from `scan_`, or from `store` and `scan` if there is none.
  absl::Status FillPage(catalog::OrderedStore& store, const catalog::ScanRequest& scan);
  void Send(const absl::Status& made, Sequence version);

  const OperationRunner::Parts parts_;
  CallScope scope_;
  const v1::ScanRequest& request_;

  // In a transaction.
  std::shared_ptr<session::OpenTransaction> transaction_;
  std::string next_page_token_;
  // Outside one. In the order of their needs: the scan goes first.
  std::shared_ptr<session::OpenDatabase> database_;
  std::unique_ptr<catalog::StoreSet> stores_;
  std::optional<catalog::OrderedStore> store_;
  std::unique_ptr<catalog::OrderedScan> scan_;

  v1::ScanResponse response_;
  catalog::ItemContent content_ = catalog::ItemContent::kItems;
  uint32_t page_bytes_ = 0;
  uint64_t sent_items_ = 0;
  int64_t sent_bytes_ = 0;
};

}  // namespace sop::rpc
