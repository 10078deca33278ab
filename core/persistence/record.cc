#include "core/persistence/record.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::persistence {
namespace {

constexpr uint8_t kRecordFormat = 1;
constexpr uint8_t kAbsent = 0;
constexpr uint8_t kPresent = 1;
constexpr uint8_t kValueOnlyFlag = 1;
constexpr size_t kChecksumSize = 8;

void AppendByte(std::string* out, uint8_t byte) { out->push_back(static_cast<char>(byte)); }

void AppendOptional(std::string* out, const std::optional<std::string>& value) {
  AppendByte(out, value.has_value() ? kPresent : kAbsent);
  if (value.has_value()) base::AppendLengthPrefixed(out, *value);
}

void AppendItem(std::string* out, const CommitRecord&, const NodeChange& node) {
  AppendByte(out, static_cast<uint8_t>(node.action));
  base::AppendVarint(out, node.tree.value);
  base::AppendVarint(out, node.node.value);
  base::AppendLengthPrefixed(out, node.bytes);
}

void AppendItem(std::string* out, const CommitRecord&, const RowChange& row) {
  AppendByte(out, static_cast<uint8_t>(row.space));
  base::AppendLengthPrefixed(out, row.key);
  AppendOptional(out, row.value);
}

void AppendItem(std::string* out, const CommitRecord&, const ValueChange& value) {
  base::AppendVarint(out, value.tree.value);
  base::AppendVarint(out, value.value_id.value);
  AppendOptional(out, value.value);
}

void AppendItem(std::string* out, const CommitRecord&, const TreeId& tree) {
  base::AppendVarint(out, tree.value);
}

void AppendItem(std::string* out, const CommitRecord& record, const LogicalWrite& write) {
  SOP_CHECK(write.sequence >= record.first && write.sequence <= record.last);
  AppendByte(out, static_cast<uint8_t>(write.kind));
  AppendByte(out, write.value_only ? kValueOnlyFlag : 0);
  base::AppendVarint(out, write.tree.value);
  base::AppendVarint(out, write.sequence.value - record.first.value);
  base::AppendLengthPrefixed(out, write.key);
}

template <typename T>
void AppendList(std::string* out, const CommitRecord& record, const std::vector<T>& items) {
  base::AppendVarint(out, items.size());
  for (const T& item : items) AppendItem(out, record, item);
}

size_t SizeBound(const CommitRecord& record) {
  constexpr size_t kPerItem = 32;
  size_t size = 128;
  for (const NodeChange& node : record.nodes) size += kPerItem + node.bytes.size();
  for (const RowChange& row : record.rows) {
    size += kPerItem + row.key.size() + (row.value ? row.value->size() : 0);
  }
  for (const ValueChange& value : record.values) {
    size += kPerItem + (value.value ? value.value->size() : 0);
  }
  for (const LogicalWrite& write : record.writes) size += kPerItem + write.key.size();
  return size + kPerItem * record.dropped_trees.size();
}

// Reads the fields of one record. Every getter returns false when its bytes are not what
// EncodeRecord writes.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : reader_(bytes) {}

  bool GetRecord(CommitRecord* record) {
    uint64_t count;
    if (!reader_.GetVarint(&record->first.value) || !reader_.GetVarint(&count)) return false;
    if (record->first.value == 0 || record->first.value > kMaxSequence ||
        count > kMaxSequence - record->first.value) {
      return false;
    }
    record->last.value = record->first.value + count;
    return GetList(*record, &record->nodes) && GetList(*record, &record->rows) &&
           GetList(*record, &record->values) && GetList(*record, &record->dropped_trees) &&
           GetList(*record, &record->writes) && reader_.empty();
  }

 private:
  template <typename T>
  bool GetList(const CommitRecord& record, std::vector<T>* items) {
    uint64_t count;
    // An item is at least a byte, so a damaged count is refused before it allocates.
    if (!reader_.GetVarint(&count) || count > reader_.rest().size()) return false;
    items->reserve(std::min<uint64_t>(count, 1024));
    for (uint64_t i = 0; i < count; ++i) {
      if (!GetItem(record, &items->emplace_back())) return false;
    }
    return true;
  }

  template <typename Enum>
  bool GetEnum(Enum last, Enum* value) {
    uint8_t byte;
    if (!reader_.GetByte(&byte) || byte == 0 || byte > static_cast<uint8_t>(last)) return false;
    *value = static_cast<Enum>(byte);
    return true;
  }

  bool GetTree(TreeId* tree) {
    uint64_t value;
    if (!reader_.GetVarint(&value) || value > UINT32_MAX) return false;
    tree->value = static_cast<uint32_t>(value);
    return true;
  }

  bool GetBytes(std::string* bytes) {
    std::string_view view;
    if (!reader_.GetLengthPrefixed(&view)) return false;
    bytes->assign(view);
    return true;
  }

  bool GetOptional(std::optional<std::string>* value) {
    uint8_t byte;
    if (!reader_.GetByte(&byte)) return false;
    if (byte == kAbsent) return true;
    return byte == kPresent && GetBytes(&value->emplace());
  }

  bool GetItem(const CommitRecord&, NodeChange* node) {
    return GetEnum(NodeAction::kRemove, &node->action) && GetTree(&node->tree) &&
           reader_.GetVarint(&node->node.value) && GetBytes(&node->bytes);
  }

  bool GetItem(const CommitRecord&, RowChange* row) {
    return GetEnum(Space::kFeed, &row->space) && GetBytes(&row->key) && GetOptional(&row->value);
  }

  bool GetItem(const CommitRecord&, ValueChange* value) {
    return GetTree(&value->tree) && reader_.GetVarint(&value->value_id.value) &&
           GetOptional(&value->value);
  }

  bool GetItem(const CommitRecord&, TreeId* tree) { return GetTree(tree); }

  bool GetItem(const CommitRecord& record, LogicalWrite* write) {
    uint8_t flags;
    uint64_t offset;
    if (!GetEnum(WriteKind::kSetRideOn, &write->kind) || !reader_.GetByte(&flags) ||
        flags > kValueOnlyFlag || !GetTree(&write->tree) || !reader_.GetVarint(&offset) ||
        offset > record.last.value - record.first.value) {
      return false;
    }
    write->value_only = flags == kValueOnlyFlag;
    write->sequence.value = record.first.value + offset;
    return GetBytes(&write->key);
  }

  base::ByteReader reader_;
};

absl::Status Damaged(std::string_view what, size_t size) {
  return Error(Reason::kDamaged, fmt::format("commit record of {} bytes: {}", size, what));
}

}  // namespace

std::string EncodeRecord(const CommitRecord& record) {
  SOP_CHECK(record.first.value > 0 && record.first <= record.last);
  SOP_CHECK(record.last.value <= kMaxSequence);
  std::string out;
  out.reserve(SizeBound(record));
  AppendByte(&out, kRecordFormat);
  base::AppendVarint(&out, record.first.value);
  base::AppendVarint(&out, record.last.value - record.first.value);
  AppendList(&out, record, record.nodes);
  AppendList(&out, record, record.rows);
  AppendList(&out, record, record.values);
  AppendList(&out, record, record.dropped_trees);
  AppendList(&out, record, record.writes);
  base::AppendLittle64(&out, base::Checksum64(out));
  return out;
}

absl::StatusOr<CommitRecord> DecodeRecord(std::string_view bytes) {
  if (bytes.size() < 1 + kChecksumSize) return Damaged("too short", bytes.size());
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumSize);
  if (base::Checksum64(body) != base::LoadLittle64(bytes.data() + body.size())) {
    return Damaged("checksum differs", bytes.size());
  }
  const uint8_t format = static_cast<uint8_t>(body.front());
  if (format != kRecordFormat) {
    return Damaged(
        fmt::format("format {} is unknown, this release reads {}", format, kRecordFormat),
        bytes.size());
  }
  CommitRecord record;
  if (!RecordReader(body.substr(1)).GetRecord(&record)) {
    return Damaged("fields are malformed", bytes.size());
  }
  return record;
}

}  // namespace sop::persistence
