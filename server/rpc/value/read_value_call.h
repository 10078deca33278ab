#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/checksum.h"
#include "core/catalog/ordered_store.h"
#include "server/rpc/operation_runner.h"
#include "sop/v1/btree.pb.h"

namespace sop::rpc {

// BtreeService.ReadValue under way: parts are read by workers, one when the one before has left.
// Outside a transaction all are of one snapshot; in one, every part takes a turn of its own.
// Deletes itself when gRPC is done with it. Confined to the worker and gRPC's writing in turns.
class ReadValueCall : public grpc::ServerWriteReactor<v1::ReadValueResponse> {
 public:
  // What `parts` names outlives this.
  ReadValueCall(const OperationRunner::Parts& parts, const grpc::CallbackServerContext& context,
                const v1::ReadValueRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override { scope_.context().Cancel(); }
  void OnDone() override;

 private:
  absl::Status Prepare();
  void ScheduleNext();
  void MakeAlone();
  // Makes response_ the next message, of what `store` has in `transaction`.
  absl::Status Make(catalog::OrderedStore& store, const txn::Transaction& transaction);
  absl::Status Begin(catalog::OrderedStore& store, Sequence version);
  absl::StatusOr<catalog::StoredValue> Find(catalog::OrderedStore& store) const;
  void Deliver(const absl::Status& made);
  void End(const absl::Status& status);

  const OperationRunner::Parts parts_;
  const v1::ReadValueRequest request_;
  CallScope scope_;
  std::shared_ptr<session::OpenTransaction> transaction_;
  // Outside a transaction. In the order of their needs: the store goes first.
  std::shared_ptr<session::OpenDatabase> database_;
  std::unique_ptr<catalog::StoreSet> stores_;
  std::optional<catalog::OrderedStore> store_;
  // Absent before the first part.
  std::optional<catalog::StoredValue> value_;
  uint64_t generation_ = 0;  // of the transaction, at the last part
  uint64_t offset_ = 0;
  // Of what was read, if that was from the beginning on.
  base::Checksum checksum_;
  v1::ReadValueResponse response_;
  int64_t sent_bytes_ = 0;
};

}  // namespace sop::rpc
