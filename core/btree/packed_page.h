#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/value_format.h"

namespace sop::btree {

class NodeVersion;

// Which columns a page has. Bits are a wire format (docs/formats/page.md).
struct PageColumns {
  static constexpr uint8_t kKeys = 0x01;
  static constexpr uint8_t kRideOn = 0x02;
  static constexpr uint8_t kVersions = 0x04;
  static constexpr uint8_t kItemIds = 0x08;
  // Values with their flags and format tags.
  static constexpr uint8_t kValues = 0x10;
  static constexpr uint8_t kAll = 0x1f;
};

// Bits of the flags byte of an item that has a value column.
struct PackedItemFlags {
  // The value is not in the page because of its size: to be read by Get, or above
  // persistence::kMaxWholeValueBytes by ReadValue.
  static constexpr uint8_t kValueLeftOut = 0x01;
  static constexpr uint8_t kAll = 0x01;
};

// One item of a page. Borrows its bytes. What the page has no column for is empty or 0.
struct PackedItem {
  // The key is `key_prefix` followed by `key`: nodes keep a common prefix once.
  std::string_view key_prefix;
  std::string_view key;
  std::string_view ride_on;
  std::string_view value;
  uint64_t version = 0;
  Uuid item_id;
  // Of a value that is left out, as far as it is known: pages do not say it.
  uint64_t value_size = 0;
  uint8_t flags = 0;
  ValueFormat format = ValueFormat::kBytes;
};

// The parts of a page behind its header, in their order.
enum class PagePart : uint8_t {
  kVersions,
  kItemIds,
  kKeyEnds,
  kRideOnEnds,
  kValueEnds,
  kFlags,
  kFormats,
  kKeys,
  kRideOns,
  kValues,
};
inline constexpr size_t kPageParts = 10;

// Bytes that grow at their end and are not cleared first. Confined to its owner.
class PageBytes {
 public:
  size_t size() const { return size_; }
  std::string_view view() const { return {bytes_.get(), size_}; }
  // Makes room for `more` bytes behind the end and returns where they go.
  char* Reserve(size_t more) {
    if (size_ + more > capacity_) Grow(more);
    return bytes_.get() + size_;
  }
  // `added` of the bytes reserved were written.
  void Commit(size_t added) { size_ += added; }
  void Append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
    Commit(bytes.size());
  }
  // Gives the bytes away; this is empty then.
  std::unique_ptr<char[]> Release() {
    size_ = capacity_ = 0;
    return std::move(bytes_);
  }

 private:
  void Grow(size_t more);

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

struct PageBounds {
  // Items; 1 or more.
  size_t max_items = 65'536;
  // Bytes of the finished page. The first item is taken whatever its size.
  size_t max_size_bytes = 1 << 20;
};

// Collects items into one packed page: append until it refuses, then Finish. Confined to its owner.
class PackedPageBuilder {
 public:
  // REQUIRES: `columns` is a set of PageColumns bits, one or more; bounds.max_items is 1 or more.
  PackedPageBuilder(uint8_t columns, PageBounds bounds);

  // Copies the item. False, and nothing is done, if the page is full with it.
  bool Append(const PackedItem& item);
  // Copies items [begin, end) of a leaf of a store whose keys are unique, up to the first that does
  // not fit, whose value is not in the leaf, or that follows the one with which the bytes of keys,
  // fields and values reach `budget_bytes`. What was copied is taken off the budget. Returns how
  // many were copied.
  uint32_t AppendLeaf(const NodeVersion& leaf, uint32_t begin, uint32_t end,
                      uint64_t* budget_bytes);

  // Makes room for `bytes` bytes of values (without that column of keys) at once.
  void Expect(size_t bytes) {
    part(Has(PageColumns::kValues) ? PagePart::kValues : PagePart::kKeys).Reserve(bytes);
  }

  size_t count() const { return count_; }
  // Bytes of the page if it were finished now.
  size_t size_bytes() const;
  // The finished page; the builder is empty again.
  std::string Finish();
  // The same in pieces that follow each other, without a copy.
  std::vector<PageBytes> FinishPieces();

 private:
  // Which items of a leaf are copied, at most.
  struct LeafPart {
    uint32_t begin = 0;
    size_t most = 0;
    size_t leaf_bytes = 0;
    // Of one item.
    size_t prefix_bytes = 0;
  };

  bool Has(uint8_t column) const { return (columns_ & column) != 0; }
  template <typename Items>
  uint32_t AppendItems(const Items& items, const LeafPart& from, uint64_t* budget_bytes);
  PageBytes& part(PagePart part) { return parts_[static_cast<size_t>(part)]; }
  void AppendBytes(PagePart ends, PagePart bytes, std::string_view head, std::string_view tail);
  PageBytes Header() const;

  const uint8_t columns_;
  const PageBounds bounds_;
  const size_t item_size_bytes_;
  size_t count_ = 0;
  // In the order of PagePart.
  std::array<PageBytes, kPageParts> parts_;
};

// A packed page that was found to be well formed, read in place. Borrows the bytes it was parsed
// from. Thread-compatible.
class PackedPage {
 public:
  // Total: any bytes give a page whose every item lies inside them, INVALID_ARGUMENT, or
  // FORMAT_NOT_SUPPORTED for a later format. Keys are not checked against a schema, nor for order.
  static absl::StatusOr<PackedPage> Parse(std::string_view bytes);

  size_t count() const { return count_; }
  uint8_t columns() const { return columns_; }
  // REQUIRES: i < count().
  PackedItem item(size_t i) const;

 private:
  PackedPage() = default;

  std::string_view part(PagePart part) const { return parts_[static_cast<size_t>(part)]; }
  std::string_view Slice(PagePart ends, PagePart bytes, size_t i) const;
  absl::Status CheckColumns() const;

  size_t count_ = 0;
  uint8_t columns_ = 0;
  std::array<std::string_view, kPageParts> parts_;
};

}  // namespace sop::btree
