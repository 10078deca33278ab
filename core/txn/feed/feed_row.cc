#include "core/txn/feed/feed_row.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::txn {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kKeyBytes = 16;
constexpr size_t kChecksumBytes = 4;

absl::Status Damaged(const FeedRowKey& key, std::string_view why) {
  return Error(Reason::kDamaged, fmt::format("feed of tree {}: row of commit {}, part {} {}",
                                             key.tree.value, key.sequence.value, key.part, why));
}

bool ReadValue(base::ByteReader& reader, uint8_t flags, FeedChange* change) {
  if (flags > static_cast<uint8_t>(FeedValue::kLeftOut)) return false;
  change->has_value = static_cast<FeedValue>(flags);
  if (change->has_value == FeedValue::kNone) return true;
  if (!reader.GetByte(&change->format)) return false;
  if (change->has_value == FeedValue::kLeftOut) return reader.GetVarint(&change->value_size);
  if (!reader.GetLengthPrefixed(&change->value)) return false;
  change->value_size = change->value.size();
  return true;
}

bool ReadChange(base::ByteReader& reader, FeedChange* change) {
  *change = {};
  uint8_t kind = 0;
  uint8_t flags = 0;
  if (!reader.GetByte(&kind) || kind < 1 || kind > 5) return false;
  change->kind = static_cast<FeedKind>(kind);
  return reader.GetByte(&flags) && reader.GetVarint(&change->previous.value) &&
         reader.GetLengthPrefixed(&change->key) && reader.GetLengthPrefixed(&change->ride_on) &&
         ReadValue(reader, flags, change);
}

struct Head {
  uint64_t unix_ms = 0;
  uint64_t first_ordinal = 0;
  uint64_t count = 0;
};

// Leaves the reader at the first change.
bool ReadHead(base::ByteReader& reader, Head* head) {
  uint8_t format = 0;
  return reader.GetByte(&format) && format == kFormat && reader.GetVarint(&head->unix_ms) &&
         reader.GetVarint(&head->first_ordinal) && reader.GetVarint(&head->count);
}

// Whether what follows is so many changes and nothing else.
bool HoldsChanges(base::ByteReader reader, uint64_t count) {
  FeedChange change;
  for (uint64_t i = 0; i < count; ++i) {
    if (!ReadChange(reader, &change)) return false;
  }
  return reader.empty();
}

}  // namespace

std::string EncodeFeedRowKey(const FeedRowKey& key) {
  std::string out;
  base::AppendBigEndian64(&out, key.sequence.value);
  base::AppendBigEndian32(&out, key.tree.value);
  base::AppendBigEndian32(&out, key.part);
  return out;
}

std::optional<FeedRowKey> DecodeFeedRowKey(std::string_view bytes) {
  if (bytes.size() != kKeyBytes) return std::nullopt;
  return FeedRowKey{Sequence{base::LoadBig64(bytes.data())},
                    TreeId{base::LoadBig32(bytes.data() + 8)}, base::LoadBig32(bytes.data() + 12)};
}

void FeedRow::Add(const FeedChange& change) {
  ++count_;
  changes_.push_back(static_cast<char>(change.kind));
  changes_.push_back(static_cast<char>(change.has_value));
  base::AppendVarint(&changes_, change.previous.value);
  base::AppendLengthPrefixed(&changes_, change.key);
  base::AppendLengthPrefixed(&changes_, change.ride_on);
  if (change.has_value == FeedValue::kNone) return;
  changes_.push_back(static_cast<char>(change.format));
  if (change.has_value == FeedValue::kWhole) {
    base::AppendLengthPrefixed(&changes_, change.value);
  } else {
    base::AppendVarint(&changes_, change.value_size);
  }
}

std::string FeedRow::Encode(int64_t unix_ms) const {
  std::string out;
  out.reserve(changes_.size() + 32);
  out.push_back(static_cast<char>(kFormat));
  base::AppendVarint(&out, static_cast<uint64_t>(std::max<int64_t>(unix_ms, 0)));
  base::AppendVarint(&out, first_ordinal_);
  base::AppendVarint(&out, count_);
  out += changes_;
  base::AppendLittle32(&out, static_cast<uint32_t>(base::Checksum64(out)));
  return out;
}

absl::Status VisitFeedRow(const FeedRowKey& key, std::string_view row, uint32_t index,
                          absl::FunctionRef<bool(const FeedEvent&)> visit, uint32_t* read) {
  if (row.size() < kChecksumBytes) return Damaged(key, "is cut");
  const std::string_view body = row.substr(0, row.size() - kChecksumBytes);
  if (base::LoadLittle32(row.data() + body.size()) !=
      static_cast<uint32_t>(base::Checksum64(body))) {
    return Damaged(key, "does not match its checksum");
  }
  base::ByteReader reader(body);
  Head head;
  if (!ReadHead(reader, &head) || !HoldsChanges(reader, head.count)) {
    return Damaged(key, "is not in a format that is known");
  }
  *read = index;
  FeedEvent event;
  event.version = key.sequence;
  event.unix_ms = static_cast<int64_t>(head.unix_ms);
  for (uint64_t i = 0; i < head.count; ++i) {
    ReadChange(reader, &event.change);
    if (i < index) continue;
    event.ordinal = head.first_ordinal + i;
    if (!visit(event)) break;
    *read = static_cast<uint32_t>(i + 1);
  }
  return absl::OkStatus();
}

}  // namespace sop::txn
