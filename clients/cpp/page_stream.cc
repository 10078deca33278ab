#include "clients/cpp/page_stream.h"

#include "core/base/status_macros.h"

namespace sop::client {

PageStream::PageStream(v1::BtreeService::Stub& stub, const v1::ScanRequest& request)
    : reader_(stub.Scan(&context_, request)) {}

PageStream::~PageStream() {
  if (finished_) return;
  context_.TryCancel();
  Finish();
}

absl::StatusOr<std::optional<btree::PackedPage>> PageStream::Next() {
  while (reader_->Read(&response_)) {
    complete_ = complete_ || response_.end();
    if (response_.page().empty()) continue;
    SOP_ASSIGN_OR_RETURN(btree::PackedPage page, btree::PackedPage::Parse(response_.page()));
    return std::optional<btree::PackedPage>(page);
  }
  return std::nullopt;
}

grpc::Status PageStream::Finish() {
  finished_ = true;
  return reader_->Finish();
}

}  // namespace sop::client
