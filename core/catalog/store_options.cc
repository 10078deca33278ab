#include "core/catalog/store_options.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"
#include "core/btree/name.h"

namespace sop::catalog {
namespace {

absl::Status OptionError(std::string_view option, std::string_view what) {
  return Error(Reason::kInvalidArgument, fmt::format("option {} {}", option, what),
               {{"option", std::string(option)}});
}

absl::Status CheckFieldNames(const std::vector<std::string>& fields) {
  if (fields.empty() || fields.size() > btree::kMaxKeyFields) {
    return OptionError("relations", fmt::format("has one of {} fields; 1 to {} are allowed",
                                                fields.size(), btree::kMaxKeyFields));
  }
  for (const std::string& field : fields) {
    SOP_RETURN_IF_ERROR(btree::CheckName("relation field", field));
  }
  return absl::OkStatus();
}

absl::Status CheckRelation(const Relation& relation) {
  SOP_RETURN_IF_ERROR(btree::CheckName("store", relation.target_store));
  SOP_RETURN_IF_ERROR(CheckFieldNames(relation.source_fields));
  SOP_RETURN_IF_ERROR(CheckFieldNames(relation.target_fields));
  if (relation.source_fields.size() != relation.target_fields.size()) {
    return OptionError(
        "relations",
        fmt::format("names {} fields of this store and {} of '{}'", relation.source_fields.size(),
                    relation.target_fields.size(), base::Printable(relation.target_store)));
  }
  return absl::OkStatus();
}

// A scalar's only field has the empty name, so an index of one may have it, too.
absl::Status CheckIndex(const btree::IndexSpecification& index) {
  if (index.size() > btree::kMaxKeyFields) {
    return OptionError(
        "index", fmt::format("has {} fields; the limit is {}", index.size(), btree::kMaxKeyFields));
  }
  for (size_t i = 0; i < index.size(); ++i) {
    if (index.size() == 1 && index[i].name.empty()) break;
    SOP_RETURN_IF_ERROR(btree::CheckName("index field", index[i].name));
    for (size_t k = 0; k < i; ++k) {
      if (index[k].name == index[i].name) {
        return OptionError("index",
                           fmt::format("names field '{}' twice", base::Printable(index[i].name)));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

size_t InlineLimitBytes(ValuePlacement placement) {
  switch (placement) {
    case ValuePlacement::kSmall:
      return btree::kMaxSmallInlineValueSizeBytes;
    case ValuePlacement::kBig:
      return 0;
    case ValuePlacement::kMedium:
      break;
  }
  return btree::kMaxInlineValueSizeBytes;
}

absl::StatusOr<StoreOptions> Complete(const GivenOptions& given) {
  StoreOptions options;
  options.uniqueness = given.uniqueness.value_or(options.uniqueness);
  options.value_placement = given.value_placement.value_or(options.value_placement);
  options.slot_length = given.slot_length.value_or(options.slot_length);
  options.feed = given.feed.value_or(options.feed);
  options.description = given.description.value_or("");
  if (given.index.has_value()) options.index = *given.index;
  if (given.relations.has_value()) options.relations = *given.relations;
  SOP_RETURN_IF_ERROR(CheckOptions(options));
  return options;
}

absl::Status CheckOptions(const StoreOptions& options) {
  if (options.slot_length < btree::kMinSlotLength || options.slot_length > btree::kMaxSlotLength) {
    return OptionError("slot_length",
                       fmt::format("is {}; {} to {} are allowed", options.slot_length,
                                   btree::kMinSlotLength, btree::kMaxSlotLength));
  }
  if (options.description.size() > kMaxDescriptionSizeBytes) {
    return OptionError("description",
                       fmt::format("has {} bytes; the limit is {}", options.description.size(),
                                   kMaxDescriptionSizeBytes));
  }
  if (!base::IsValidUtf8(options.description)) {
    return OptionError("description", "is not valid UTF-8");
  }
  if (options.relations.size() > kMaxRelations) {
    return OptionError("relations", fmt::format("are {}; the limit is {}", options.relations.size(),
                                                kMaxRelations));
  }
  SOP_RETURN_IF_ERROR(CheckIndex(options.index));
  for (const Relation& relation : options.relations) SOP_RETURN_IF_ERROR(CheckRelation(relation));
  return absl::OkStatus();
}

}  // namespace sop::catalog
