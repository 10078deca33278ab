#include "core/btree/staged/leaf_packer.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"

namespace sop::btree {
namespace {

constexpr size_t kBlockBytes = size_t{64} << 10;

}  // namespace

std::string_view LeafPacker::Bytes::Keep(std::string_view bytes) {
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < bytes.size()) {
    blocks_.emplace_back().reserve(std::max(kBlockBytes, bytes.size()));
  }
  std::string& block = blocks_.back();
  const size_t begin = block.size();
  block.append(bytes);
  return std::string_view(block).substr(begin);
}

void LeafPacker::Append(Run* run, std::string_view key, const ItemView& item) {
  ItemView kept = item;
  kept.ride_on = run->bytes.Keep(item.ride_on);
  kept.value = run->bytes.Keep(item.value);
  run->entries.AppendItem(run->bytes.Keep(key), kept);
}

absl::Status LeafPacker::Add(std::string_view key, const ItemView& item) {
  Append(&run_, key, item);
  const bool two_leaves = run_.entries.bytes() > 2 * limits_.image_bytes ||
                          run_.entries.entries().size() > 2ULL * limits_.slots;
  return two_leaves ? EmitFirst() : absl::OkStatus();
}

absl::Status LeafPacker::EmitRange(size_t begin, size_t end) {
  PackedLeaf leaf;
  leaf.low = begin == 0 ? std::move(low_) : run_.entries.Separator(begin);
  leaf.count = end - begin;
  leaf.image = run_.entries.BuildImage(begin, end, {sequence_, sequence_, 0});
  return emit_(std::move(leaf));
}

absl::Status LeafPacker::EmitFirst() {
  const std::vector<size_t> starts = run_.entries.Divide(limits_, NodeEntries::Growth::kTail);
  if (starts.size() < 2) return absl::OkStatus();  // one huge item
  SOP_RETURN_IF_ERROR(EmitRange(0, starts[1]));
  low_ = run_.entries.Separator(starts[1]);
  Run rest;
  const auto& entries = run_.entries.entries();
  for (size_t i = starts[1]; i < entries.size(); ++i)
    Append(&rest, entries[i].key, entries[i].item);
  run_ = std::move(rest);
  return absl::OkStatus();
}

absl::Status LeafPacker::Finish() {
  const size_t size = run_.entries.entries().size();
  if (size == 0) return absl::OkStatus();
  const std::vector<size_t> starts = run_.entries.Divide(limits_, NodeEntries::Growth::kAnywhere);
  for (size_t i = 0; i < starts.size(); ++i) {
    SOP_RETURN_IF_ERROR(EmitRange(starts[i], i + 1 < starts.size() ? starts[i + 1] : size));
  }
  run_ = Run();
  return absl::OkStatus();
}

}  // namespace sop::btree
