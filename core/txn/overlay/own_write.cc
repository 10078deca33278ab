#include "core/txn/overlay/own_write.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::txn {
namespace {

constexpr uint8_t kValueOnly = 1;
constexpr uint8_t kOutOfNode = 2;
constexpr uint8_t kLateKey = 4;
constexpr uint8_t kLateValue = 8;
constexpr uint8_t kCounter = 16;
constexpr uint8_t kStaged = 32;

int64_t CounterOf(std::string_view value) {
  return static_cast<int64_t>(base::LoadLittle64(value.data()));
}

absl::StatusOr<std::optional<btree::Item>> AddTo(const btree::Item* before, int64_t amount) {
  btree::Item item;
  if (before != nullptr) {
    if (before->flags != btree::kItemIsCounter || before->value.size() != 8) {
      return Error(Reason::kInvalidValue, "an item that is not a counter cannot be added to");
    }
    item = *before;
    amount = static_cast<int64_t>(static_cast<uint64_t>(amount) +
                                  static_cast<uint64_t>(CounterOf(before->value)));
  }
  item.flags = btree::kItemIsCounter;
  item.value.clear();
  base::AppendLittle64(&item.value, static_cast<uint64_t>(amount));
  return item;
}

}  // namespace

void EncodeOwnWrite(const OwnWrite& write, std::string* payload) {
  std::string& out = *payload;
  out.clear();
  out.reserve(write.ride_on.size() + write.value.size() + 24);
  out.push_back(static_cast<char>(write.kind));
  out.push_back(static_cast<char>((write.change == ChangeKind::kValueOnly ? kValueOnly : 0) |
                                  (write.out_of_node ? kOutOfNode : 0) |
                                  (write.counter ? kCounter : 0) | (write.staged ? kStaged : 0) |
                                  (write.late_key_offset.has_value() ? kLateKey : 0) |
                                  (write.late_value_offset.has_value() ? kLateValue : 0)));
  out.push_back(static_cast<char>(write.format));
  if (write.late_key_offset.has_value()) base::AppendVarint(&out, *write.late_key_offset);
  if (write.late_value_offset.has_value()) base::AppendVarint(&out, *write.late_value_offset);
  if (write.kind == OwnWriteKind::kAdd) base::AppendSignedVarint(&out, write.amount);
  base::AppendLengthPrefixed(&out, write.ride_on);
  out.append(write.value);
}

absl::StatusOr<OwnWrite> DecodeOwnWrite(std::string_view payload) {
  base::ByteReader reader(payload);
  OwnWrite write;
  uint8_t kind = 0;
  uint8_t flags = 0;
  reader.GetByte(&kind);
  reader.GetByte(&flags);
  reader.GetByte(&write.format);
  write.kind = static_cast<OwnWriteKind>(kind);
  write.change = (flags & kValueOnly) != 0 ? ChangeKind::kValueOnly : ChangeKind::kStructural;
  write.out_of_node = (flags & kOutOfNode) != 0;
  write.counter = (flags & kCounter) != 0;
  write.staged = (flags & kStaged) != 0;
  uint64_t offset = 0;
  if ((flags & kLateKey) != 0 && reader.GetVarint(&offset)) {
    write.late_key_offset = static_cast<uint32_t>(offset);
  }
  if ((flags & kLateValue) != 0 && reader.GetVarint(&offset)) {
    write.late_value_offset = static_cast<uint32_t>(offset);
  }
  if (write.kind == OwnWriteKind::kAdd) reader.GetSignedVarint(&write.amount);
  reader.GetLengthPrefixed(&write.ride_on);
  if (reader.failed() || kind < 1 || kind > 4) {
    return Error(Reason::kDamaged, "temporary file of a transaction is damaged");
  }
  write.value = reader.rest();
  return write;
}

absl::StatusOr<std::optional<btree::Item>> ApplyOwnWrite(const OwnWrite& write,
                                                         const btree::Item* before) {
  std::optional<btree::Item> after;
  switch (write.kind) {
    case OwnWriteKind::kPut:
      after.emplace();
      after->flags = write.ItemFlags();
      after->format = write.format;
      after->ride_on = std::string(write.ride_on);
      after->value = std::string(write.value);
      break;
    case OwnWriteKind::kErase:
      break;
    case OwnWriteKind::kSetRideOn:
      if (before != nullptr) {
        after = *before;
        after->ride_on = std::string(write.ride_on);
      }
      break;
    case OwnWriteKind::kAdd:
      return AddTo(before, write.amount);
  }
  return after;
}

}  // namespace sop::txn
