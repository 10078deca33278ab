#include "core/btree/packed_page.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/key.h"

namespace sop::btree {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kHeaderSize = 24;

// Size of one item in a part of fixed-size items; 0 for the parts that hold bytes.
struct PartRow {
  PagePart part;
  uint8_t column;
  size_t item_size;
};

constexpr std::array<PartRow, kPageParts> kParts = {{
    {PagePart::kVersions, PageColumns::kVersions, 8},
    {PagePart::kItemIds, PageColumns::kItemIds, 16},
    {PagePart::kKeyEnds, PageColumns::kKeys, 4},
    {PagePart::kRideOnEnds, PageColumns::kRideOn, 4},
    {PagePart::kValueEnds, PageColumns::kValues, 4},
    {PagePart::kFlags, PageColumns::kValues, 1},
    {PagePart::kFormats, PageColumns::kValues, 1},
    {PagePart::kKeys, PageColumns::kKeys, 0},
    {PagePart::kRideOns, PageColumns::kRideOn, 0},
    {PagePart::kValues, PageColumns::kValues, 0},
}};

size_t ItemSize(uint8_t columns) {
  size_t size = 0;
  for (const PartRow& row : kParts) {
    if ((columns & row.column) != 0) size += row.item_size;
  }
  return size;
}

absl::Status Malformed(std::string_view why) {
  return Error(Reason::kInvalidArgument, fmt::format("packed page {}", why));
}

// Whether `ends` never fall and the last one is the size of the bytes that they cut. Looks at all
// of them before it answers: a loop without exits is one for vector instructions.
bool EndsFit(std::string_view ends, size_t bytes) {
  if (ends.empty()) return bytes == 0;
  uint32_t falls = 0;
  for (size_t at = 4; at < ends.size(); at += 4) {
    falls |= static_cast<uint32_t>(base::LoadLittle32(ends.data() + at) <
                                   base::LoadLittle32(ends.data() + at - 4));
  }
  return falls == 0 && base::LoadLittle32(ends.data() + ends.size() - 4) == bytes;
}

}  // namespace

PackedPageBuilder::PackedPageBuilder(uint8_t columns, PageBounds bounds)
    : columns_(columns), bounds_(bounds), item_size_bytes_(ItemSize(columns)) {
  SOP_CHECK(columns != 0 && (columns & ~PageColumns::kAll) == 0 && bounds.max_items > 0 &&
            bounds.max_items <= std::numeric_limits<uint32_t>::max());
}

void PageBytes::Grow(size_t more) {
  const size_t capacity = std::max(size_ + more, 2 * capacity_);
  std::unique_ptr<char[]> grown(new char[capacity]);
  if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
  bytes_ = std::move(grown);
  capacity_ = capacity;
}

size_t PackedPageBuilder::size_bytes() const {
  return kHeaderSize + count_ * item_size_bytes_ +
         parts_[static_cast<size_t>(PagePart::kKeys)].size() +
         parts_[static_cast<size_t>(PagePart::kRideOns)].size() +
         parts_[static_cast<size_t>(PagePart::kValues)].size();
}

void PackedPageBuilder::AppendBytes(PagePart ends, PagePart bytes, std::string_view head,
                                    std::string_view tail) {
  part(bytes).Append(head);
  part(bytes).Append(tail);
  base::StoreLittle32(part(ends).Reserve(4), static_cast<uint32_t>(part(bytes).size()));
  part(ends).Commit(4);
}

bool PackedPageBuilder::Append(const PackedItem& item) {
  size_t added = item_size_bytes_;
  if (Has(PageColumns::kKeys)) added += item.key_prefix.size() + item.key.size();
  if (Has(PageColumns::kRideOn)) added += item.ride_on.size();
  if (Has(PageColumns::kValues)) added += item.value.size();
  const bool fits = count_ < bounds_.max_items && size_bytes() + added <= bounds_.max_size_bytes;
  if (count_ > 0 && !fits) return false;

  if (Has(PageColumns::kVersions)) {
    base::StoreLittle64(part(PagePart::kVersions).Reserve(8), item.version);
    part(PagePart::kVersions).Commit(8);
  }
  if (Has(PageColumns::kItemIds)) {
    std::string id;
    AppendItemId(item.item_id, &id);
    part(PagePart::kItemIds).Append(id);
  }
  if (Has(PageColumns::kKeys)) {
    AppendBytes(PagePart::kKeyEnds, PagePart::kKeys, item.key_prefix, item.key);
  }
  if (Has(PageColumns::kRideOn)) {
    AppendBytes(PagePart::kRideOnEnds, PagePart::kRideOns, item.ride_on, {});
  }
  if (Has(PageColumns::kValues)) {
    AppendBytes(PagePart::kValueEnds, PagePart::kValues, item.value, {});
    const char flags = static_cast<char>(item.flags);
    const char format = static_cast<char>(item.format);
    part(PagePart::kFlags).Append({&flags, 1});
    part(PagePart::kFormats).Append({&format, 1});
  }
  ++count_;
  return true;
}

PageBytes PackedPageBuilder::Header() const {
  const auto size_of = [this](PagePart bytes) {
    return static_cast<uint32_t>(parts_[static_cast<size_t>(bytes)].size());
  };
  PageBytes header;
  char* at = header.Reserve(kHeaderSize);
  std::memset(at, 0, kHeaderSize);
  at[0] = static_cast<char>(kFormat);
  at[1] = static_cast<char>(columns_);
  base::StoreLittle32(at + 4, static_cast<uint32_t>(count_));
  base::StoreLittle32(at + 8, size_of(PagePart::kKeys));
  base::StoreLittle32(at + 12, size_of(PagePart::kRideOns));
  base::StoreLittle32(at + 16, size_of(PagePart::kValues));
  header.Commit(kHeaderSize);
  return header;
}

std::vector<PageBytes> PackedPageBuilder::FinishPieces() {
  std::vector<PageBytes> pieces;
  pieces.reserve(kPageParts + 1);
  pieces.push_back(Header());
  for (PageBytes& bytes : parts_) {
    if (bytes.size() > 0) pieces.push_back(std::move(bytes));
    bytes = PageBytes();
  }
  count_ = 0;
  return pieces;
}

std::string PackedPageBuilder::Finish() {
  std::string page;
  page.reserve(size_bytes());
  for (const PageBytes& piece : FinishPieces()) page.append(piece.view());
  return page;
}

absl::StatusOr<PackedPage> PackedPage::Parse(std::string_view bytes) {
  if (bytes.empty()) return Malformed("is empty");
  if (static_cast<uint8_t>(bytes[0]) != kFormat) {
    return Error(Reason::kFormatNotSupported,
                 fmt::format("packed page has format {}; this release reads {}",
                             static_cast<uint8_t>(bytes[0]), kFormat));
  }
  if (bytes.size() < kHeaderSize) return Malformed("is shorter than its header");
  PackedPage page;
  page.columns_ = static_cast<uint8_t>(bytes[1]);
  page.count_ = base::LoadLittle32(bytes.data() + 4);
  const bool reserved_clear =
      base::LoadLittle16(bytes.data() + 2) == 0 && base::LoadLittle32(bytes.data() + 20) == 0;
  if ((page.columns_ & ~PageColumns::kAll) != 0 || !reserved_clear) {
    return Malformed("has reserved bits set");
  }
  // A page without columns would hold any number of items in no bytes at all.
  if (page.columns_ == 0 && page.count_ != 0) return Malformed("has items and no columns");

  std::string_view rest = bytes.substr(kHeaderSize);
  size_t length_at = 8;
  for (const PartRow& row : kParts) {
    size_t size = row.item_size * page.count_;
    if (row.item_size == 0) {
      size = base::LoadLittle32(bytes.data() + length_at);
      length_at += 4;
    }
    if ((page.columns_ & row.column) == 0) {
      if (row.item_size == 0 && size != 0) return Malformed("has bytes for a column it lacks");
      continue;
    }
    if (size > rest.size()) return Malformed("is shorter than its header says");
    page.parts_[static_cast<size_t>(row.part)] = rest.substr(0, size);
    rest.remove_prefix(size);
  }
  if (!rest.empty()) return Malformed("is longer than its header says");
  SOP_RETURN_IF_ERROR(page.CheckColumns());
  return page;
}

absl::Status PackedPage::CheckColumns() const {
  if (!EndsFit(part(PagePart::kKeyEnds), part(PagePart::kKeys).size()) ||
      !EndsFit(part(PagePart::kRideOnEnds), part(PagePart::kRideOns).size()) ||
      !EndsFit(part(PagePart::kValueEnds), part(PagePart::kValues).size())) {
    return Malformed("has offsets that fall or do not end where their bytes end");
  }
  uint8_t flags = 0;
  for (char of_item : part(PagePart::kFlags)) flags |= static_cast<uint8_t>(of_item);
  if ((flags & ~PackedItemFlags::kAll) != 0) {
    return Malformed(fmt::format("has the item flags {:#04x}, of which some are unknown", flags));
  }
  uint8_t format = 0;
  for (char of_item : part(PagePart::kFormats)) {
    format = std::max(format, static_cast<uint8_t>(of_item));
  }
  if (format > static_cast<uint8_t>(ValueFormat::kJson)) {
    return Malformed(fmt::format("has the value format {}, which is none", format));
  }
  return absl::OkStatus();
}

std::string_view PackedPage::Slice(PagePart ends, PagePart bytes, size_t i) const {
  const char* at = part(ends).data() + 4 * i;
  const uint32_t begin = i == 0 ? 0 : base::LoadLittle32(at - 4);
  return part(bytes).substr(begin, base::LoadLittle32(at) - begin);
}

PackedItem PackedPage::item(size_t i) const {
  SOP_CHECK(i < count_);
  PackedItem item;
  const auto has = [this](uint8_t column) { return (columns_ & column) != 0; };
  if (has(PageColumns::kVersions)) {
    item.version = base::LoadLittle64(part(PagePart::kVersions).data() + 8 * i);
  }
  if (has(PageColumns::kItemIds)) {
    item.item_id = UuidFromBytes(part(PagePart::kItemIds).substr(16 * i, 16));
  }
  if (has(PageColumns::kKeys)) item.key = Slice(PagePart::kKeyEnds, PagePart::kKeys, i);
  if (has(PageColumns::kRideOn)) item.ride_on = Slice(PagePart::kRideOnEnds, PagePart::kRideOns, i);
  if (has(PageColumns::kValues)) {
    item.value = Slice(PagePart::kValueEnds, PagePart::kValues, i);
    item.flags = static_cast<uint8_t>(part(PagePart::kFlags)[i]);
    const uint8_t format = static_cast<uint8_t>(part(PagePart::kFormats)[i]);
    item.format = format == 0 ? ValueFormat::kBytes : static_cast<ValueFormat>(format);
  }
  return item;
}

}  // namespace sop::btree
