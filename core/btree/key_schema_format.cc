// The persistent form of KeySchema (docs/formats/key.md, "Schema bytes").
#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/btree/key_schema.h"

namespace sop::btree {
namespace {

constexpr uint8_t kVersion = 1;

absl::Status Damaged(std::string_view why) {
  return Error(Reason::kDamaged, fmt::format("key schema bytes {}", why));
}

bool ReadField(base::ByteReader* reader, SchemaField* field) {
  std::string_view name;
  uint8_t type = 0;
  uint64_t position = 0;
  uint8_t direction = 0;
  uint64_t collation = 0;
  if (!reader->GetLengthPrefixed(&name) || !reader->GetByte(&type) ||
      !reader->GetVarint(&position) || !reader->GetByte(&direction) ||
      !reader->GetVarint(&collation)) {
    return false;
  }
  if (position > kMaxKeyFields || direction > 1 || collation != 0) return false;
  field->name = name;
  field->type = static_cast<ScalarType>(type);
  field->index_position = static_cast<int>(position) - 1;
  field->direction = static_cast<Direction>(direction);
  field->collation = 0;
  return true;
}

}  // namespace

std::string KeySchema::Serialize() const {
  std::string out;
  out.push_back(static_cast<char>(kVersion));
  out.push_back(static_cast<char>(form_));
  base::AppendVarint(&out, fields_.size());
  for (const SchemaField& field : fields_) {
    base::AppendLengthPrefixed(&out, field.name);
    out.push_back(static_cast<char>(field.type));
    base::AppendVarint(&out, static_cast<uint64_t>(field.index_position + 1));
    out.push_back(static_cast<char>(field.direction));
    base::AppendVarint(&out, field.collation);
  }
  return out;
}

absl::StatusOr<KeySchema> KeySchema::Parse(std::string_view bytes) {
  base::ByteReader reader(bytes);
  uint8_t version = 0;
  if (!reader.GetByte(&version)) return Damaged("are empty");
  if (version != kVersion) {
    return Error(Reason::kFormatNotSupported,
                 fmt::format("key schema bytes have version {}; this release reads up to {}",
                             version, kVersion));
  }
  uint8_t form = 0;
  uint64_t count = 0;
  if (!reader.GetByte(&form) || !reader.GetVarint(&count)) return Damaged("are cut");
  if (form != static_cast<uint8_t>(KeyForm::kScalar) &&
      form != static_cast<uint8_t>(KeyForm::kRecord)) {
    return Damaged(fmt::format("have the form {}, which is none", form));
  }
  if (count > kMaxKeyFields) return Damaged(fmt::format("have {} fields", count));
  std::vector<SchemaField> fields(count);
  for (SchemaField& field : fields) {
    if (!ReadField(&reader, &field)) return Damaged("have a field that is cut or not allowed");
  }
  if (!reader.empty()) return Damaged("have more bytes than fields");
  absl::StatusOr<KeySchema> schema = Make(static_cast<KeyForm>(form), std::move(fields));
  if (!schema.ok()) {
    const absl::string_view message = schema.status().message();
    return Damaged(
        fmt::format("do not make a schema: {}", std::string_view(message.data(), message.size())));
  }
  return schema;
}

}  // namespace sop::btree
