#include "core/btree/node/delta.h"

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::btree {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kChecksumSize = 4;

absl::Status Damaged() { return Error(Reason::kDamaged, "node delta is damaged"); }

void AppendOperation(const DeltaOperation& operation, Sequence newest, std::string* out) {
  out->push_back(static_cast<char>(operation.kind));
  base::AppendLengthPrefixed(out, operation.key);
  switch (operation.kind) {
    case DeltaKind::kPut:
      base::AppendVarint(out, newest.value - operation.sequence.value);
      out->push_back(static_cast<char>(operation.item.flags));
      out->push_back(static_cast<char>(operation.item.format));
      base::AppendLengthPrefixed(out, operation.item.ride_on);
      base::AppendLengthPrefixed(out, operation.item.value);
      break;
    case DeltaKind::kSetRideOn:
      base::AppendVarint(out, newest.value - operation.sequence.value);
      base::AppendLengthPrefixed(out, operation.item.ride_on);
      break;
    case DeltaKind::kAdd:
      base::AppendVarint(out, newest.value - operation.sequence.value);
      base::AppendSignedVarint(out, operation.amount);
      break;
    case DeltaKind::kLink:
      base::AppendVarint(out, operation.child.value);
      base::AppendVarint(out, operation.count);
      break;
    case DeltaKind::kCounts:
      base::AppendVarint(out, operation.child.value);
      base::AppendSignedVarint(out, operation.amount);
      break;
    case DeltaKind::kErase:
    case DeltaKind::kCutFrom:
    case DeltaKind::kUnlink:
      break;
  }
}

bool ReadAge(base::ByteReader& reader, Sequence newest, DeltaOperation* operation) {
  uint64_t age;
  if (!reader.GetVarint(&age) || age > newest.value) return false;
  operation->sequence = Sequence{newest.value - age};
  operation->item.version = operation->sequence;
  return true;
}

bool ReadOperation(base::ByteReader& reader, Sequence newest, DeltaOperation* operation) {
  uint8_t kind;
  if (!reader.GetByte(&kind) || !reader.GetLengthPrefixed(&operation->key)) return false;
  operation->kind = static_cast<DeltaKind>(kind);
  operation->sequence = newest;
  ItemView& item = operation->item;
  switch (operation->kind) {
    case DeltaKind::kPut:
      return ReadAge(reader, newest, operation) && reader.GetByte(&item.flags) &&
             (item.flags & ~kKnownItemFlags) == 0 && reader.GetByte(&item.format) &&
             reader.GetLengthPrefixed(&item.ride_on) && reader.GetLengthPrefixed(&item.value);
    case DeltaKind::kSetRideOn:
      return ReadAge(reader, newest, operation) && reader.GetLengthPrefixed(&item.ride_on);
    case DeltaKind::kAdd:
      return ReadAge(reader, newest, operation) && reader.GetSignedVarint(&operation->amount);
    case DeltaKind::kLink:
      return reader.GetVarint(&operation->child.value) && reader.GetVarint(&operation->count);
    case DeltaKind::kCounts:
      return reader.GetVarint(&operation->child.value) &&
             reader.GetSignedVarint(&operation->amount);
    case DeltaKind::kErase:
    case DeltaKind::kCutFrom:
    case DeltaKind::kUnlink:
      return true;
  }
  return false;
}

size_t EncodedBound(const DeltaView& delta) {
  size_t bound = 40;
  for (const DeltaOperation& operation : delta.operations) {
    bound +=
        48 + operation.key.size() + operation.item.ride_on.size() + operation.item.value.size();
  }
  return bound;
}

void AppendHeader(const DeltaView& delta, std::string* out) {
  out->push_back(static_cast<char>(kFormat));
  base::AppendVarint(out, delta.sequence.value);
  base::AppendVarint(out, delta.counts_sequence.value);
  base::AppendVarint(out, delta.operations.size());
}

// Key operations ascend; a cut comes last; counts carry no key and stand alone.
bool InOrder(const DeltaOperation& before, const DeltaOperation& after) {
  if (before.kind == DeltaKind::kCounts || after.kind == DeltaKind::kCounts) {
    return before.kind == after.kind;
  }
  if (before.kind == DeltaKind::kCutFrom) return false;
  return after.kind == DeltaKind::kCutFrom || before.key < after.key;
}

}  // namespace

std::string EncodeDelta(const DeltaView& delta) {
  std::string out;
  out.reserve(EncodedBound(delta));
  AppendHeader(delta, &out);
  for (const DeltaOperation& operation : delta.operations) {
    AppendOperation(operation, delta.sequence, &out);
  }
  base::AppendLittle32(&out, base::Checksum32(out));
  return out;
}

void EncodeDelta(const DeltaView& delta, std::string* bytes, PlacedOperations* placed) {
  bytes->clear();
  // Never moves while it is filled, so that views into it stay good.
  bytes->reserve(EncodedBound(delta));
  AppendHeader(delta, bytes);
  placed->assign(delta.operations.begin(), delta.operations.end());
  for (DeltaOperation& operation : *placed) {
    const size_t begin = bytes->size();
    AppendOperation(operation, delta.sequence, bytes);
    // The key follows the kind; a value, and the ride-on bytes before it, end the operation.
    const size_t key_size = operation.key.size();
    const auto key_at = static_cast<size_t>(1 + base::VarintSize(key_size));
    operation.key = {bytes->data() + begin + key_at, key_size};
    const char* end = bytes->data() + bytes->size();
    ItemView& item = operation.item;
    item.version = operation.sequence;
    if (operation.kind == DeltaKind::kPut) {
      item.value = {end - item.value.size(), item.value.size()};
      end = item.value.data() - base::VarintSize(item.value.size());
    }
    if (operation.kind == DeltaKind::kPut || operation.kind == DeltaKind::kSetRideOn) {
      item.ride_on = {end - item.ride_on.size(), item.ride_on.size()};
    }
  }
  base::AppendLittle32(bytes, base::Checksum32(*bytes));
}

absl::StatusOr<DeltaView> DecodeDelta(std::string_view bytes) {
  if (bytes.size() < kChecksumSize) return Damaged();
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumSize);
  if (base::Checksum32(body) != base::LoadLittle32(bytes.data() + body.size())) return Damaged();
  base::ByteReader reader(body);
  DeltaView delta;
  uint8_t format;
  uint64_t count;
  if (!reader.GetByte(&format) || format != kFormat || !reader.GetVarint(&delta.sequence.value) ||
      !reader.GetVarint(&delta.counts_sequence.value) || !reader.GetVarint(&count) ||
      count > body.size()) {
    return Damaged();
  }
  delta.operations.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (!ReadOperation(reader, delta.sequence, &delta.operations[i])) return Damaged();
    if (i > 0 && !InOrder(delta.operations[i - 1], delta.operations[i])) return Damaged();
  }
  if (!reader.empty()) return Damaged();
  return delta;
}

}  // namespace sop::btree
