#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/mutex.h"
#include "core/catalog/store_feed.h"
#include "core/catalog/store_item.h"
#include "grpcpp/support/server_callback.h"
#include "server/rpc/operation_runner.h"
#include "server/rpc/watch/watch_roster.h"
#include "sop/v1/btree.pb.h"

namespace sop::rpc {

// BtreeService.Watch under way. Messages are made on the workers, one at a time, of what is stored:
// a reader that is slow holds one message and nothing else. Between messages nothing runs until the
// committer rings, or a heartbeat is due. Deletes itself when gRPC is done with it. Thread-safe.
class WatchCall : public grpc::ServerWriteReactor<v1::WatchResponse>, private WatchRoster::Watcher {
 public:
  // What `parts` names outlives this.
  WatchCall(const OperationRunner::Parts& parts, const grpc::CallbackServerContext& context,
            const v1::WatchRequest& request);

  void OnWriteDone(bool ok) override SOP_EXCLUDES(mu_);
  void OnCancel() override SOP_EXCLUDES(mu_);
  void OnDone() override;

 private:
  enum class Made { kMessage, kNothing, kMore };

  absl::Status Prepare();
  absl::Status Start();
  // Has the next message made on a worker, or remembers that one may have to be.
  void Wake() SOP_EXCLUDES(mu_);
  void MakeNext() SOP_EXCLUDES(mu_);
  // Fills response_ with what there is.
  absl::StatusOr<Made> Make() SOP_EXCLUDES(mu_);
  absl::Status ReadChanges(int64_t most_bytes);
  absl::Status AddChange(const catalog::StoreChange& change);
  // As many bytes as there is memory for.
  int64_t TakeMemory();
  // REQUIRES: nothing is being made or written.
  void End(const absl::Status& status) SOP_EXCLUDES(mu_);

  void Tick(absl::Duration now) override SOP_EXCLUDES(mu_);
  void Stop(const absl::Status& why) override SOP_EXCLUDES(mu_);
  std::string_view database_name() const override { return database_name_; }

  // Constant after construction.
  const OperationRunner::Parts parts_;
  const v1::WatchRequest request_;
  const std::string database_name_;
  catalog::ItemContent content_ = catalog::ItemContent::kItems;
  int64_t page_bytes_ = 0;
  absl::Duration heartbeat_;

  CallScope scope_;

  // --- Of whoever makes or writes a message ---
  std::shared_ptr<session::OpenDatabase> database_;
  std::unique_ptr<catalog::StoreFeed> feed_;
  uint64_t listener_ = 0;
  v1::WatchResponse response_;
  int64_t response_bytes_ = 0;
  int64_t sent_bytes_ = 0;
  catalog::FeedState state_ = catalog::FeedState::kMore;

  base::Mutex mu_;
  bool busy_ SOP_GUARDED_BY(mu_) = false;   // a message is being made or written
  bool ended_ SOP_GUARDED_BY(mu_) = false;  // Finish was called, or is about to be
  bool rung_ SOP_GUARDED_BY(mu_) = false;   // something happened while busy
  bool due_ SOP_GUARDED_BY(mu_) = true;     // the first message, or a heartbeat
  absl::Duration sent_at_ SOP_GUARDED_BY(mu_);
  absl::Status stop_ SOP_GUARDED_BY(mu_);  // why it has to end
};

}  // namespace sop::rpc
