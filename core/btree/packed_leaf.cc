#include <algorithm>
#include <cstring>

#include "core/base/bytes.h"
#include "core/btree/node/node_version.h"
#include "core/btree/packed_page.h"

namespace sop::btree {
namespace {

// Short bytes are copied in blocks of this size: a copy whose length is known needs no call.
constexpr size_t kBlockBytes = 16;
constexpr size_t kLongBytes = 16 * kBlockBytes;
// A leaf is mostly out of the processor's caches: this far ahead of the item that is copied it is
// fetched, in lines of 64 bytes.
constexpr size_t kFetchAheadBytes = 1024;

// Where the next bytes of a column go; nowhere for a column that the page lacks.
class Writer {
 public:
  Writer(PageBytes& bytes, bool there, size_t most)
      : bytes_(bytes),
        begin_(there ? bytes.Reserve(most + kBlockBytes) : nullptr),
        at_(begin_),
        before_(bytes.size()) {}
  ~Writer() {
    if (begin_ != nullptr) bytes_.Commit(static_cast<size_t>(at_ - begin_));
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  explicit operator bool() const { return begin_ != nullptr; }
  uint32_t end() const { return static_cast<uint32_t>(at_ - begin_ + before_); }
  // At `blocks_end` and behind it no block may be read. What is written beyond the end of `bytes`
  // is written over by what follows, or is behind the end of the column.
  void Put(std::string_view bytes, const char* blocks_end) {
    if (bytes.size() <= kLongBytes && bytes.data() + bytes.size() < blocks_end) {
      for (size_t done = 0; done < bytes.size(); done += kBlockBytes) {
        std::memcpy(at_ + done, bytes.data() + done, kBlockBytes);
      }
    } else if (!bytes.empty()) {
      std::memcpy(at_, bytes.data(), bytes.size());
    }
    at_ += bytes.size();
  }
  void Put8(uint8_t byte) { *at_++ = static_cast<char>(byte); }
  void Put32(uint32_t number) {
    base::StoreLittle32(at_, number);
    at_ += 4;
  }
  void Put64(uint64_t number) {
    base::StoreLittle64(at_, number);
    at_ += 8;
  }

 private:
  PageBytes& bytes_;
  char* const begin_;
  char* at_;
  const size_t before_;
};

// Takes apart the items of a leaf on which no delta is pending: they lie in its image.
class ImageItems {
 public:
  explicit ImageItems(const NodeImage& image) : image_(image) {}

  // Bytes before this may be read in blocks.
  const char* blocks_end() const {
    const std::string& bytes = image_.bytes();
    return bytes.data() + bytes.size() - std::min(bytes.size(), kBlockBytes);
  }
  ItemView Read(uint32_t index, std::string_view* prefix, std::string_view* rest) const {
    ItemView item;
    *prefix = image_.prefix();
    image_.Read(index, rest, &item);
    // What is asked for beyond the image is no access.
    __builtin_prefetch(item.value.data() + kFetchAheadBytes);
    __builtin_prefetch(item.value.data() + kFetchAheadBytes + 64);
    return item;
  }

 private:
  const NodeImage& image_;
};

// The same for a leaf with pending deltas, whose items lie in many places.
class MixedItems {
 public:
  explicit MixedItems(const NodeVersion& leaf) : leaf_(leaf) {}

  const char* blocks_end() const { return nullptr; }
  ItemView Read(uint32_t index, std::string_view* prefix, std::string_view* rest) const {
    return leaf_.Entry(index, prefix, rest);
  }

 private:
  const NodeVersion& leaf_;
};

}  // namespace

uint32_t PackedPageBuilder::AppendLeaf(const NodeVersion& leaf, uint32_t begin, uint32_t end,
                                       uint64_t* budget_bytes) {
  const size_t room = bounds_.max_items - std::min(bounds_.max_items, count_);
  const LeafPart part = {
      .begin = begin,
      .most = std::min<size_t>(end - begin, room),
      .leaf_bytes = leaf.size_bound(),
      .prefix_bytes = leaf.image().prefix().size(),
  };
  const uint32_t taken = leaf.has_pending_deltas()
                             ? AppendItems(MixedItems(leaf), part, budget_bytes)
                             : AppendItems(ImageItems(leaf.image()), part, budget_bytes);
  count_ += taken;
  return taken;
}

template <typename Items>
uint32_t PackedPageBuilder::AppendItems(const Items& items, const LeafPart& from,
                                        uint64_t* budget_bytes) {
  const size_t most = from.most;
  const bool keys = Has(PageColumns::kKeys);
  const bool values = Has(PageColumns::kValues);
  const bool rides = Has(PageColumns::kRideOn);
  // No column gets more than the leaf has, keys put together apart.
  Writer versions(part(PagePart::kVersions), Has(PageColumns::kVersions), 8 * most);
  Writer key_ends(part(PagePart::kKeyEnds), keys, 4 * most);
  Writer key_bytes(part(PagePart::kKeys), keys, from.leaf_bytes + from.prefix_bytes * most);
  Writer ride_on_ends(part(PagePart::kRideOnEnds), rides, 4 * most);
  Writer ride_ons(part(PagePart::kRideOns), rides, from.leaf_bytes);
  Writer value_ends(part(PagePart::kValueEnds), values, 4 * most);
  Writer flags(part(PagePart::kFlags), values, most);
  Writer formats(part(PagePart::kFormats), values, most);
  Writer value_bytes(part(PagePart::kValues), values, from.leaf_bytes);

  const char* const blocks_end = items.blocks_end();
  uint64_t budget = *budget_bytes;
  size_t page_bytes = size_bytes();
  uint32_t taken = 0;
  for (; taken < most && budget > 0; ++taken) {
    std::string_view prefix;
    std::string_view rest;
    const ItemView item = items.Read(from.begin + taken, &prefix, &rest);
    if (values && item.is_reference()) break;
    const size_t key_size = keys ? prefix.size() + rest.size() : 0;
    const size_t value_size = values ? item.value.size() : 0;
    page_bytes += item_size_bytes_ + key_size + value_size + (rides ? item.ride_on.size() : 0);
    if (page_bytes > bounds_.max_size_bytes) break;
    if (versions) versions.Put64(item.version.value);
    if (keys) {
      key_bytes.Put(prefix, blocks_end);
      key_bytes.Put(rest, blocks_end);
      key_ends.Put32(key_bytes.end());
    }
    if (rides) {
      ride_ons.Put(item.ride_on, blocks_end);
      ride_on_ends.Put32(ride_ons.end());
    }
    if (values) {
      value_bytes.Put(item.value, blocks_end);
      value_ends.Put32(value_bytes.end());
      flags.Put8(0);
      formats.Put8(item.format == 0 ? static_cast<uint8_t>(ValueFormat::kBytes) : item.format);
    }
    const size_t counted = key_size + value_size + (keys ? item.ride_on.size() : 0);
    budget -= std::min<uint64_t>(budget, counted);
  }
  *budget_bytes = budget;
  return taken;
}

}  // namespace sop::btree
