#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "core/base/utf8.h"
#include "server/rpc/operation/incoming_value.h"
#include "server/rpc/operation_runner.h"
#include "sop/v1/btree.pb.h"

namespace sop::rpc {

// BtreeService.PutValue under way: parts are received one after another and taken in by a worker,
// up to the one that ends the value; then the write is run as an operation. Deletes itself when
// gRPC is done with it. Confined to gRPC's reading and the worker that it hands over to.
class PutValueCall : public grpc::ServerReadReactor<v1::PutValueRequest>, public Call {
 public:
  // What `parts` names, and `runner`, outlive this. `response` is the call's.
  PutValueCall(const OperationRunner::Parts& parts, OperationRunner& runner,
               const grpc::CallbackServerContext& context, v1::PutValueResponse* response);

  // Call once.
  void Start();

  void OnReadDone(bool ok) override;
  void OnCancel() override { context().Cancel(); }
  void OnDone() override;
  void Complete(const absl::Status& status) override;

 private:
  // Takes a part in. On OK the next one is read, or the write is run.
  absl::Status Take(bool first);
  // Looks for the store, then takes the first part in.
  void TakeFirst();
  absl::Status Prepare();
  // Where the value goes: its tree, if that has an id already.
  absl::Status FindTree(catalog::StoreSet& stores);
  absl::Status Append(const std::string& content);
  absl::Status Finish();
  // Goes on, or ends the call, with how a part was taken.
  void GoOn(const absl::Status& taken);

  const OperationRunner::Parts parts_;
  OperationRunner& runner_;
  v1::PutValueResponse* const response_;
  // The first message, without its content; and the one that is received.
  v1::PutValueRequest header_;
  v1::PutValueRequest message_;
  bool prepared_ = false;
  std::shared_ptr<session::OpenTransaction> transaction_;
  // Held open for as long as something is staged in it: before `value_`.
  std::shared_ptr<session::OpenDatabase> database_;
  IncomingValue value_;
  base::Utf8Checker text_;
  bool is_text_ = false;
  int64_t held_bytes_ = 0;
};

}  // namespace sop::rpc
