#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/status_macros.h"
#include "core/btree/packed_page.h"
#include "core/catalog/ordered_store.h"
#include "fmt/format.h"
#include "server/convert/id.h"
#include "server/convert/key.h"
#include "server/rpc/operation/operations.h"
#include "server/rpc/operation/page_writer.h"
#include "server/rpc/operation/scan_request.h"

namespace sop::rpc {
namespace {

constexpr uint32_t kDefaultPageSize = 100;
constexpr uint32_t kDefaultPageBytes = 1 << 20;
constexpr uint32_t kDefaultSampleSize = 100;

absl::StatusOr<catalog::OpenStore*> OpenBtree(OperationScope& scope, const std::string& name) {
  return scope.stores.Open(name, catalog::StoreKind::kBtree);
}

PageWriter::Form FormOf(bool packed) {
  return packed ? PageWriter::Form::kPacked : PageWriter::Form::kItems;
}

absl::StatusOr<std::vector<btree::Key>> KeysOf(const v1::GetRequest& request) {
  std::vector<btree::Key> keys;
  keys.reserve(static_cast<size_t>(request.keys_size()));
  for (const v1::Key& key : request.keys()) {
    SOP_ASSIGN_OR_RETURN(btree::Key converted, convert::KeyFromProto(key));
    keys.push_back(std::move(converted));
  }
  if (!request.packed_keys().empty()) {
    SOP_ASSIGN_OR_RETURN(const auto page, btree::PackedPage::Parse(request.packed_keys()));
    for (size_t i = 0; i < page.count(); ++i) {
      const btree::PackedItem item = page.item(i);
      keys.emplace_back(
          btree::EncodedKey{std::string(item.key_prefix) + std::string(item.key), ""});
    }
  }
  if (keys.size() <= kMaxItemsPerRequest) return keys;
  return Error(Reason::kInvalidArgument,
               fmt::format("request names {} keys, limit {}", keys.size(), kMaxItemsPerRequest),
               {{"limit", fmt::format("{}", kMaxItemsPerRequest)}});
}

absl::StatusOr<catalog::SeekTarget> TargetFrom(v1::SeekTarget target) {
  switch (target) {
    case v1::SEEK_TARGET_UNSPECIFIED:
    case v1::SEEK_TARGET_EXACT:
      return catalog::SeekTarget::kExact;
    case v1::SEEK_TARGET_AT_OR_AFTER:
      return catalog::SeekTarget::kAtOrAfter;
    case v1::SEEK_TARGET_AFTER:
      return catalog::SeekTarget::kAfter;
    case v1::SEEK_TARGET_AT_OR_BEFORE:
      return catalog::SeekTarget::kAtOrBefore;
    case v1::SEEK_TARGET_BEFORE:
      return catalog::SeekTarget::kBefore;
    case v1::SEEK_TARGET_FIRST:
      return catalog::SeekTarget::kFirst;
    case v1::SEEK_TARGET_LAST:
      return catalog::SeekTarget::kLast;
    default:
      return Error(Reason::kInvalidArgument,
                   fmt::format("seek target {} does not exist", static_cast<int>(target)),
                   {{"field", "target"}});
  }
}

absl::StatusOr<catalog::SeekRequest> SeekFrom(const v1::SeekRequest& request) {
  catalog::SeekRequest seek;
  SOP_ASSIGN_OR_RETURN(seek.target, TargetFrom(request.target()));
  if (request.has_key()) {
    SOP_ASSIGN_OR_RETURN(seek.key, convert::KeyFromProto(request.key()));
  }
  if (!request.item_id().empty()) {
    SOP_ASSIGN_OR_RETURN(seek.item_id, convert::UuidFromProto("item_id", request.item_id()));
  }
  SOP_ASSIGN_OR_RETURN(seek.content, ContentFromProto(request.content()));
  if (request.with_neighbours()) seek.neighbours = catalog::Neighbours::kKeys;
  return seek;
}

}  // namespace

absl::Status Run(OperationScope& scope, const v1::GetRequest& request, v1::GetResponse* response) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open, OpenBtree(scope, request.store()));
  SOP_ASSIGN_OR_RETURN(const std::vector<btree::Key> keys, KeysOf(request));
  SOP_ASSIGN_OR_RETURN(const catalog::ItemContent content, ContentFromProto(request.content()));
  catalog::OrderedStore store(*open);
  PageWriter writer(store, content, FormOf(request.packed()),
                    {.budget_bytes = scope.context.response_budget_bytes,
                     .place = scope.context.place,
                     .whole = PageWriter::Whole::kRequired},
                    response->mutable_items());
  auto missing =
      store.Get(keys, content, [&](const btree::PackedItem& item) { return writer.Append(item); });
  SOP_RETURN_IF_ERROR(writer.status());
  SOP_RETURN_IF_ERROR(missing.status());
  scope.context.response_budget_bytes -= writer.size_bytes();
  response->mutable_missing()->Add(missing->begin(), missing->end());
  if (request.packed()) response->set_packed(writer.FinishPacked());
  return absl::OkStatus();
}

absl::Status Run(OperationScope& scope, const v1::SeekRequest& request,
                 v1::SeekResponse* response) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open, OpenBtree(scope, request.store()));
  SOP_ASSIGN_OR_RETURN(const catalog::SeekRequest seek, SeekFrom(request));
  catalog::OrderedStore store(*open);
  SOP_ASSIGN_OR_RETURN(const catalog::SeekResult result, store.Seek(seek));
  response->set_exact(result.exact);
  if (result.item.has_value()) {
    SOP_RETURN_IF_ERROR(
        ItemToProto(*store.schema(), seek.content, result.item->view(), response->mutable_item()));
  }
  if (result.previous.has_value()) {
    SOP_RETURN_IF_ERROR(ItemToProto(*store.schema(), catalog::ItemContent::kKeys,
                                    result.previous->view(), response->mutable_previous()));
  }
  if (result.next.has_value()) {
    SOP_RETURN_IF_ERROR(ItemToProto(*store.schema(), catalog::ItemContent::kKeys,
                                    result.next->view(), response->mutable_next()));
  }
  return TakeRoom(scope, *response);
}

absl::Status Run(OperationScope& scope, const v1::ReadPageRequest& request,
                 v1::ReadPageResponse* response) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open, OpenBtree(scope, request.store()));
  catalog::OrderedStore store(*open);
  SOP_ASSIGN_OR_RETURN(catalog::ScanRequest scan, ScanFromProto(store, request));
  scan.still_wanted = [&scope] { return scope.context.CheckWanted(); };
  SOP_ASSIGN_OR_RETURN(const uint32_t page_size, CheckedSize("page_size", request.page_size(),
                                                             kDefaultPageSize, kMaxPageSize));
  SOP_ASSIGN_OR_RETURN(const uint32_t page_bytes, CheckedSize("page_bytes", request.page_bytes(),
                                                              kDefaultPageBytes, kMaxPageBytes));
  PageWriter writer(
      store, scan.content, FormOf(request.packed()),
      {.budget_bytes = scope.context.response_budget_bytes, .place = scope.context.place},
      response->mutable_items());
  catalog::PageLimits limits = {.max_items = page_size, .max_size_bytes = page_bytes};
  if (scan.filter != nullptr) limits.max_examined = kMaxExaminedItems;
  auto end = store.ReadPage(scan, limits,
                            [&](const btree::PackedItem& item) { return writer.Append(item); });
  SOP_RETURN_IF_ERROR(writer.status());
  SOP_RETURN_IF_ERROR(end.status());
  scope.context.response_budget_bytes -= writer.size_bytes();
  response->set_end(end->end);
  response->set_next_page_token(std::move(end->next_page_token));
  if (request.packed()) response->set_packed(writer.FinishPacked());
  return absl::OkStatus();
}

absl::Status Run(OperationScope& scope, const v1::CountRequest& request,
                 v1::CountResponse* response) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open, OpenBtree(scope, request.store()));
  catalog::OrderedStore store(*open);
  catalog::ScanRequest scan;
  scan.content = catalog::ItemContent::kKeys;
  scan.still_wanted = [&scope] { return scope.context.CheckWanted(); };
  SOP_ASSIGN_OR_RETURN(scan.range, RangeIn(store, request.range()));
  if (request.has_filter()) {
    SOP_ASSIGN_OR_RETURN(scan.filter, FilterIn(store, request.filter()));
  }
  SOP_ASSIGN_OR_RETURN(const uint64_t count, store.CountMatching(scan));
  response->set_count(count);
  return absl::OkStatus();
}

absl::Status Run(OperationScope& scope, const v1::SampleRequest& request,
                 v1::SampleResponse* response) {
  SOP_ASSIGN_OR_RETURN(catalog::OpenStore * open, OpenBtree(scope, request.store()));
  catalog::OrderedStore store(*open);
  catalog::SampleRequest sample;
  SOP_ASSIGN_OR_RETURN(sample.range, RangeIn(store, request.range()));
  SOP_ASSIGN_OR_RETURN(sample.content, ContentFromProto(request.content()));
  SOP_ASSIGN_OR_RETURN(sample.count,
                       CheckedSize("size", request.size(), kDefaultSampleSize, kMaxSampleSize));
  if (request.has_filter()) {
    SOP_ASSIGN_OR_RETURN(sample.filter, FilterIn(store, request.filter()));
  }
  sample.still_wanted = [&scope] { return scope.context.CheckWanted(); };
  sample.seed = request.has_seed() ? request.seed() : base::SystemRandom().Next64();
  PageWriter writer(store, sample.content, FormOf(request.packed()),
                    {.budget_bytes = scope.context.response_budget_bytes,
                     .place = scope.context.place,
                     .whole = PageWriter::Whole::kRequired},
                    response->mutable_items());
  auto range_count =
      store.Sample(sample, [&](const btree::PackedItem& item) { return writer.Append(item); });
  SOP_RETURN_IF_ERROR(writer.status());
  SOP_RETURN_IF_ERROR(range_count.status());
  scope.context.response_budget_bytes -= writer.size_bytes();
  response->set_range_count(*range_count);
  if (request.packed()) response->set_packed(writer.FinishPacked());
  return absl::OkStatus();
}

}  // namespace sop::rpc
