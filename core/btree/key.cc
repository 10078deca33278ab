#include "core/btree/key.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/btree/limits.h"

namespace sop::btree {

const Scalar* Record::Find(std::string_view name) const {
  for (const NamedScalar& field : fields) {
    if (field.name == name) return &field.value;
  }
  return nullptr;
}

std::string Printable(const Key& key) {
  if (const auto* scalar = std::get_if<Scalar>(&key)) return Printable(*scalar);
  if (const auto* encoded = std::get_if<EncodedKey>(&key)) {
    return fmt::format("encoded {}", base::Hex(encoded->key.substr(0, 32)));
  }
  std::string out;
  for (const NamedScalar& field : std::get<Record>(key).fields) {
    out += fmt::format("{}{}: {}", out.empty() ? "{" : ", ", field.name, Printable(field.value));
    if (out.size() > 64) return base::Printable(out);
  }
  return out.empty() ? "{}" : base::Printable(out + "}");
}

bool KeyRange::Contains(std::string_view key) const {
  return key >= begin && (end.empty() || key < end);
}

KeyRange Intersection(const KeyRange& a, const KeyRange& b) {
  KeyRange out{std::max(a.begin, b.begin), a.end};
  if (out.end.empty() || (!b.end.empty() && b.end < out.end)) out.end = b.end;
  return out;
}

std::string PrefixSuccessor(std::string_view prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.remove_suffix(1);
  std::string out(prefix);
  if (!out.empty()) ++out.back();
  return out;
}

KeyRange PrefixRange(std::string_view prefix) {
  return KeyRange{std::string(prefix), PrefixSuccessor(prefix)};
}

void AppendItemId(Uuid item_id, std::string* key) {
  base::AppendBigEndian64(key, item_id.high);
  base::AppendBigEndian64(key, item_id.low);
}

absl::StatusOr<KeyAndItemId> SplitItemId(std::string_view stored) {
  if (stored.size() <= kItemIdSizeBytes) {
    return Error(Reason::kDamaged,
                 fmt::format("stored key of {} bytes is too short to hold an item id of {}",
                             stored.size(), kItemIdSizeBytes));
  }
  const size_t size = stored.size() - kItemIdSizeBytes;
  return KeyAndItemId{stored.substr(0, size), UuidFromBytes(stored.substr(size))};
}

Uuid UuidFromBytes(std::string_view bytes) {
  return Uuid{base::LoadBig64(bytes.data()), base::LoadBig64(bytes.data() + 8)};
}

}  // namespace sop::btree
