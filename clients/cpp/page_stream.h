#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "core/btree/packed_page.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"
#include "sop/v1/btree.grpc.pb.h"

namespace sop::client {

// The packed pages of one Scan, read one after the other: Next until there is none, then Finish.
// Destroyed earlier, it gives the scan up. Confined to one thread but for Cancel.
class PageStream {
 public:
  // `stub` must outlive this.
  PageStream(v1::BtreeService::Stub& stub, const v1::ScanRequest& request);
  ~PageStream();
  PageStream(const PageStream&) = delete;
  PageStream& operator=(const PageStream&) = delete;

  // The next page, valid until the next call of this; nothing behind the last one, or when the
  // stream broke. The errors of PackedPage::Parse.
  absl::StatusOr<std::optional<btree::PackedPage>> Next();

  // Ends the scan early: Next returns nothing soon, Finish CANCELLED. From any thread.
  void Cancel() { context_.TryCancel(); }

  // How the call ended, as the server says. REQUIRES: Next returned no page. Call once.
  grpc::Status Finish();
  // Whether the server said that nothing follows what was read.
  bool complete() const { return complete_; }

 private:
  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReader<v1::ScanResponse>> reader_;
  // The page borrows its bytes; used again, so that their memory is.
  v1::ScanResponse response_;
  bool complete_ = false;
  bool finished_ = false;
};

}  // namespace sop::client
