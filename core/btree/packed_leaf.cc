#include <algorithm>
#include <cstring>

#include "core/base/bytes.h"
#include "core/btree/node/node_version.h"
#include "core/btree/packed_page.h"

namespace sop::btree {
namespace {

// Where the next bytes of a column go; nowhere for a column that the page lacks.
class Writer {
 public:
  Writer(PageBytes& bytes, bool there, size_t most)
      : bytes_(bytes), begin_(there ? bytes.Reserve(most) : nullptr), at_(begin_) {}
  ~Writer() {
    if (begin_ != nullptr) bytes_.Commit(static_cast<size_t>(at_ - begin_));
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  explicit operator bool() const { return begin_ != nullptr; }
  uint32_t end() const { return static_cast<uint32_t>(at_ - begin_ + bytes_.size()); }
  void Put(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(at_, bytes.data(), bytes.size());
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
};

}  // namespace

uint32_t PackedPageBuilder::AppendLeaf(const NodeVersion& leaf, uint32_t begin, uint32_t end,
                                       uint64_t* budget_bytes) {
  const size_t room = bounds_.max_items - std::min(bounds_.max_items, count_);
  const size_t most = std::min<size_t>(end - begin, room);
  // No column gets more than the leaf has, keys put together apart.
  const size_t leaf_bytes = leaf.size_bound();
  const size_t prefix_bytes = leaf.image().prefix().size() * most;
  const bool keys = Has(PageColumns::kKeys);
  const bool values = Has(PageColumns::kValues);
  Writer versions(part(PagePart::kVersions), Has(PageColumns::kVersions), 8 * most);
  Writer key_ends(part(PagePart::kKeyEnds), keys, 4 * most);
  Writer key_bytes(part(PagePart::kKeys), keys, leaf_bytes + prefix_bytes);
  Writer ride_on_ends(part(PagePart::kRideOnEnds), Has(PageColumns::kRideOn), 4 * most);
  Writer ride_ons(part(PagePart::kRideOns), Has(PageColumns::kRideOn), leaf_bytes);
  Writer value_ends(part(PagePart::kValueEnds), values, 4 * most);
  Writer flags(part(PagePart::kFlags), values, most);
  Writer formats(part(PagePart::kFormats), values, most);
  Writer value_bytes(part(PagePart::kValues), values, leaf_bytes);

  size_t page_bytes = size_bytes();
  uint32_t taken = 0;
  std::string_view prefix;
  std::string_view rest;
  while (taken<most&& * budget_bytes> 0) {
    const ItemView item = leaf.Entry(begin + taken, &prefix, &rest);
    if (values && item.is_reference()) break;
    const size_t key_size = keys ? prefix.size() + rest.size() : 0;
    const size_t value_size = values ? item.value.size() : 0;
    page_bytes += item_size_bytes_ + key_size + value_size;
    if (ride_on_ends) page_bytes += item.ride_on.size();
    if (page_bytes > bounds_.max_size_bytes) break;
    if (versions) versions.Put64(item.version.value);
    if (keys) {
      key_bytes.Put(prefix);
      key_bytes.Put(rest);
      key_ends.Put32(key_bytes.end());
    }
    if (ride_on_ends) {
      ride_ons.Put(item.ride_on);
      ride_on_ends.Put32(ride_ons.end());
    }
    if (values) {
      value_bytes.Put(item.value);
      value_ends.Put32(value_bytes.end());
      flags.Put8(0);
      formats.Put8(item.format == 0 ? static_cast<uint8_t>(ValueFormat::kBytes) : item.format);
    }
    const size_t counted = key_size + value_size + (keys ? item.ride_on.size() : 0);
    *budget_bytes -= std::min<uint64_t>(*budget_bytes, counted);
    ++taken;
  }
  count_ += taken;
  return taken;
}

}  // namespace sop::btree
