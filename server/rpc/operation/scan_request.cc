#include "server/rpc/operation/scan_request.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/convert/filter.h"
#include "server/convert/id.h"
#include "server/convert/key.h"
#include "server/rpc/operation/page_writer.h"

namespace sop::rpc {
namespace {

absl::StatusOr<catalog::Position> PositionFrom(const v1::Position& position) {
  catalog::Position from;
  SOP_ASSIGN_OR_RETURN(from.key, convert::KeyFromProto(position.key()));
  if (!position.item_id().empty()) {
    SOP_ASSIGN_OR_RETURN(from.item_id, convert::UuidFromProto("item_id", position.item_id()));
  }
  return from;
}

// What both requests have.
template <typename Request>
absl::StatusOr<catalog::ScanRequest> BoundsOf(const catalog::OrderedStore& store,
                                              const Request& request) {
  catalog::ScanRequest scan;
  SOP_ASSIGN_OR_RETURN(scan.range, RangeIn(store, request.range()));
  SOP_ASSIGN_OR_RETURN(scan.direction, DirectionFromProto(request.direction()));
  SOP_ASSIGN_OR_RETURN(scan.content, ContentFromProto(request.content()));
  if (request.has_filter()) {
    SOP_ASSIGN_OR_RETURN(scan.filter, FilterIn(store, request.filter()));
  }
  return scan;
}

}  // namespace

absl::StatusOr<btree::KeyRange> RangeIn(const catalog::OrderedStore& store,
                                        const v1::KeyRange& range) {
  if (store.schema() == nullptr) return btree::KeyRange();
  return convert::RangeFromProto(range, *store.schema());
}

absl::StatusOr<std::shared_ptr<const catalog::BoundFilter>> FilterIn(
    const catalog::OrderedStore& store, const v1::Filter& filter) {
  SOP_ASSIGN_OR_RETURN(const catalog::Filter given, convert::FilterFromProto(filter));
  if (store.schema() != nullptr) return catalog::BoundFilter::Bind(given, *store.schema());
  SOP_RETURN_IF_ERROR(catalog::CheckFilter(given));
  return std::shared_ptr<const catalog::BoundFilter>();
}

absl::StatusOr<catalog::ScanRequest> ScanFromProto(const catalog::OrderedStore& store,
                                                   const v1::ReadPageRequest& request) {
  SOP_ASSIGN_OR_RETURN(catalog::ScanRequest scan, BoundsOf(store, request));
  switch (request.start_case()) {
    case v1::ReadPageRequest::kAfter: {
      SOP_ASSIGN_OR_RETURN(scan.start, PositionFrom(request.after()));
      break;
    }
    case v1::ReadPageRequest::kOffset:
      scan.start = catalog::Offset{request.offset()};
      break;
    case v1::ReadPageRequest::kPageToken:
      // An empty token is that of the first page.
      if (!request.page_token().empty()) scan.start = catalog::PageToken{request.page_token()};
      break;
    case v1::ReadPageRequest::START_NOT_SET:
      break;
  }
  return scan;
}

absl::StatusOr<catalog::ScanRequest> ScanFromProto(const catalog::OrderedStore& store,
                                                   const v1::ScanRequest& request) {
  SOP_ASSIGN_OR_RETURN(catalog::ScanRequest scan, BoundsOf(store, request));
  if (request.has_after()) {
    SOP_ASSIGN_OR_RETURN(scan.start, PositionFrom(request.after()));
  }
  return scan;
}

}  // namespace sop::rpc
