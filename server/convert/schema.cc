#include "server/convert/schema.h"

#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/limits.h"
#include "core/btree/name.h"
#include "fmt/format.h"

namespace sop::convert {
namespace {

absl::Status Invalid(std::string_view field, const std::string& message) {
  return Error(Reason::kInvalidArgument, message, {{"field", std::string(field)}});
}

struct TypeRow {
  v1::ScalarType wire;
  btree::ScalarType type;
};
constexpr TypeRow kTypes[] = {
    {v1::SCALAR_TYPE_BOOL, btree::ScalarType::kBool},
    {v1::SCALAR_TYPE_INT64, btree::ScalarType::kInt64},
    {v1::SCALAR_TYPE_DOUBLE, btree::ScalarType::kDouble},
    {v1::SCALAR_TYPE_STRING, btree::ScalarType::kString},
    {v1::SCALAR_TYPE_BYTES, btree::ScalarType::kBytes},
    {v1::SCALAR_TYPE_UUID, btree::ScalarType::kUuid},
    {v1::SCALAR_TYPE_TIMESTAMP, btree::ScalarType::kTimestamp},
};

absl::StatusOr<btree::ScalarType> TypeFrom(const v1::SchemaField& field) {
  for (const TypeRow& row : kTypes) {
    if (row.wire == field.type()) return row.type;
  }
  return Invalid("type",
                 fmt::format("field \"{}\" of the schema has type {}, which does not exist",
                             base::Printable(field.name()), static_cast<int>(field.type())));
}

v1::ScalarType TypeTo(btree::ScalarType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.wire;
  }
  return v1::SCALAR_TYPE_UNSPECIFIED;
}

}  // namespace

absl::StatusOr<btree::IndexSpecification> IndexFromProto(const v1::IndexSpecification& index) {
  if (index.fields_size() == 0 || static_cast<size_t>(index.fields_size()) > btree::kMaxKeyFields) {
    return Invalid("index", fmt::format("index names {} fields, must name 1 to {}",
                                        index.fields_size(), btree::kMaxKeyFields));
  }
  btree::IndexSpecification specification;
  for (const v1::IndexField& field : index.fields()) {
    SOP_RETURN_IF_ERROR(btree::CheckName("field", field.name()));
    for (const btree::IndexField& earlier : specification) {
      if (earlier.name != field.name()) continue;
      return Invalid("index", fmt::format("index names {} twice", base::Printable(field.name())));
    }
    const bool ascending = !field.has_ascending() || field.ascending();
    specification.push_back(
        {field.name(), ascending ? btree::Direction::kAscending : btree::Direction::kDescending});
  }
  return specification;
}

void IndexToProto(const btree::IndexSpecification& index, v1::IndexSpecification* out) {
  for (const btree::IndexField& field : index) {
    v1::IndexField* to = out->add_fields();
    to->set_name(field.name);
    to->set_ascending(field.direction == btree::Direction::kAscending);
  }
}

absl::StatusOr<std::optional<btree::KeySchema>> SchemaFromProto(
    const v1::KeySchema& declared, const btree::IndexSpecification& index) {
  using Declared = std::optional<btree::KeySchema>;
  if (declared.shape() == v1::KEY_SHAPE_UNSPECIFIED && declared.fields().empty()) {
    return Declared();
  }
  std::vector<btree::DeclaredField> fields;
  for (const v1::SchemaField& field : declared.fields()) {
    if (field.has_index_position() || field.descending() || field.collation() != 0) {
      return Invalid("schema", fmt::format("field \"{}\" of the schema must leave order to the "
                                           "index",
                                           base::Printable(field.name())));
    }
    SOP_ASSIGN_OR_RETURN(const btree::ScalarType type, TypeFrom(field));
    fields.push_back({field.name(), type});
  }
  if (declared.shape() == v1::KEY_SHAPE_SCALAR) {
    if (fields.size() != 1 || !fields[0].name.empty() || !index.empty()) {
      return Invalid("schema",
                     "the schema of a scalar key has one field without name, and no index");
    }
    SOP_ASSIGN_OR_RETURN(btree::KeySchema schema, btree::KeySchema::ForScalar(fields[0].type));
    return Declared(std::move(schema));
  }
  if (declared.shape() != v1::KEY_SHAPE_RECORD) {
    return Invalid("schema", "the schema names fields but no shape");
  }
  SOP_ASSIGN_OR_RETURN(btree::KeySchema schema, btree::KeySchema::ForRecord(fields, index));
  return Declared(std::move(schema));
}

void SchemaToProto(const btree::KeySchema& schema, v1::KeySchema* out) {
  out->set_shape(schema.form() == btree::KeyForm::kScalar ? v1::KEY_SHAPE_SCALAR
                                                          : v1::KEY_SHAPE_RECORD);
  for (const btree::SchemaField& field : schema.fields()) {
    v1::SchemaField* to = out->add_fields();
    to->set_name(field.name);
    to->set_type(TypeTo(field.type));
    if (field.index_position != btree::SchemaField::kRidesOn) {
      to->set_index_position(static_cast<uint32_t>(field.index_position));
    }
    to->set_descending(field.direction == btree::Direction::kDescending);
    to->set_collation(field.collation);
  }
}

}  // namespace sop::convert
