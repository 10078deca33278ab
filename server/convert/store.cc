#include "server/convert/store.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/convert/schema.h"

namespace sop::convert {
namespace {

absl::StatusOr<catalog::ValuePlacement> PlacementFrom(v1::ValueSize size) {
  switch (size) {
    case v1::VALUE_SIZE_UNSPECIFIED:
    case v1::VALUE_SIZE_MEDIUM:
      return catalog::ValuePlacement::kMedium;
    case v1::VALUE_SIZE_SMALL:
      return catalog::ValuePlacement::kSmall;
    case v1::VALUE_SIZE_BIG:
      return catalog::ValuePlacement::kBig;
    default:
      return Error(Reason::kInvalidArgument,
                   fmt::format("value_size {} does not exist", static_cast<int>(size)),
                   {{"field", "value_size"}});
  }
}

v1::ValueSize PlacementTo(catalog::ValuePlacement placement) {
  switch (placement) {
    case catalog::ValuePlacement::kSmall:
      return v1::VALUE_SIZE_SMALL;
    case catalog::ValuePlacement::kBig:
      return v1::VALUE_SIZE_BIG;
    default:
      return v1::VALUE_SIZE_MEDIUM;
  }
}

void RelationTo(const catalog::Relation& relation, v1::Relation* out) {
  for (const std::string& field : relation.source_fields) out->add_source_fields(field);
  out->set_target_store(relation.target_store);
  for (const std::string& field : relation.target_fields) out->add_target_fields(field);
}

}  // namespace

absl::StatusOr<catalog::GivenOptions> OptionsFromProto(const v1::BtreeOptions& options) {
  catalog::GivenOptions given;
  if (options.has_unique()) {
    given.uniqueness =
        options.unique() ? catalog::Uniqueness::kUnique : catalog::Uniqueness::kDuplicates;
  }
  if (options.has_slot_length()) given.slot_length = options.slot_length();
  if (options.has_feed()) given.feed = options.feed() ? catalog::Feed::kOn : catalog::Feed::kOff;
  if (options.has_value_size()) {
    SOP_ASSIGN_OR_RETURN(given.value_placement, PlacementFrom(options.value_size()));
  }
  if (options.has_description()) given.description = options.description();
  if (options.has_index()) {
    SOP_ASSIGN_OR_RETURN(given.index, IndexFromProto(options.index()));
  }
  if (options.has_schema()) {
    SOP_ASSIGN_OR_RETURN(
        given.schema,
        SchemaFromProto(options.schema(), given.index.value_or(btree::IndexSpecification())));
  }
  if (!options.relations().empty()) {
    std::vector<catalog::Relation> relations;
    for (const v1::Relation& relation : options.relations()) {
      relations.push_back({{relation.source_fields().begin(), relation.source_fields().end()},
                           relation.target_store(),
                           {relation.target_fields().begin(), relation.target_fields().end()}});
    }
    given.relations = std::move(relations);
  }
  return given;
}

void StoreToProto(const catalog::StoreEntry& entry, v1::Store* out) {
  out->set_name(entry.name);
  out->set_id(entry.id.value);
  out->set_kind(entry.kind == catalog::StoreKind::kBtree ? v1::STORE_KIND_BTREE
                                                         : v1::STORE_KIND_UNSPECIFIED);
  const catalog::StoreOptions& options = entry.options;
  v1::BtreeOptions* to = out->mutable_options();
  to->set_unique(options.uniqueness == catalog::Uniqueness::kUnique);
  to->set_slot_length(options.slot_length);
  to->set_feed(options.feed == catalog::Feed::kOn);
  to->set_value_size(PlacementTo(options.value_placement));
  to->set_description(options.description);
  if (!options.index.empty()) IndexToProto(options.index, to->mutable_index());
  for (const catalog::Relation& relation : options.relations) {
    RelationTo(relation, to->add_relations());
  }
  if (entry.schema.has_value()) SchemaToProto(*entry.schema, out->mutable_schema());
  out->mutable_schema()->set_version(entry.schema_version);
}

}  // namespace sop::convert
