#include "clients/cli/transfer/import_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "clients/cli/session/key_columns.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/text/export_csv.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

// What CreateBtree will make of the options, as far as keys are concerned.
absl::StatusOr<StoreKeys> PlannedKeys(const v1::BtreeOptions& options) {
  v1::Store store;
  *store.mutable_options() = options;
  v1::KeySchema* schema = store.mutable_schema();
  *schema = options.schema();
  if (schema->shape() == v1::KEY_SHAPE_SCALAR && schema->fields_size() == 1) {
    schema->mutable_fields(0)->set_index_position(0);
  }
  if (schema->shape() == v1::KEY_SHAPE_RECORD && options.index().fields_size() == 0) {
    // The order is by name; the server knows best.
    schema->Clear();
  }
  for (int position = 0; position < options.index().fields_size(); ++position) {
    const v1::IndexField& indexed = options.index().fields(position);
    for (v1::SchemaField& field : *schema->mutable_fields()) {
      if (field.name() == indexed.name()) {
        field.set_index_position(static_cast<uint32_t>(position));
        field.set_descending(indexed.has_ascending() && !indexed.ascending());
      }
    }
  }
  return KeysOf(store);
}

// Options of a store whose keys are these columns.
absl::StatusOr<v1::BtreeOptions> OptionsForColumns(const ImportPlan& plan,
                                                   const std::vector<KeyColumn>& flagged,
                                                   const std::vector<std::string>& key_columns) {
  v1::BtreeOptions options;
  std::vector<KeyColumn> index = flagged;
  if (index.empty()) {
    index = ParseKeyColumns(key_columns);
  }
  bool all_typed = plan.input->format() == InputFormat::kCsv;
  if (!all_typed) {
    // Members of JSON objects bring their types unless all are declared.
    all_typed = true;
    for (const std::string& name : key_columns) {
      all_typed = all_typed && plan.shape.types.contains(name);
    }
  }
  if (index.size() == 1 && plan.shape.ride_on.empty() &&
      index.front().direction == btree::Direction::kAscending) {
    if (all_typed) {
      const auto type = plan.shape.types.find(index.front().name);
      const auto scalar =
          ScalarTypeOf(type == plan.shape.types.end() ? ColumnType::kString : type->second);
      options.mutable_schema()->set_shape(v1::KEY_SHAPE_SCALAR);
      AddSchemaField("", scalar.value_or(btree::ScalarType::kString), options.mutable_schema());
    }
    return options;
  }
  AddIndex(index, &options);
  if (all_typed) {
    SOP_RETURN_IF_ERROR(DeclareRecord(index, plan.shape.ride_on, plan.shape.types, &options));
  }
  return options;
}

absl::StatusOr<v1::BtreeOptions> OptionsToCreate(const ImportPlan& plan,
                                                 const std::vector<KeyColumn>& flagged) {
  v1::BtreeOptions options;
  switch (plan.input->format()) {
    case InputFormat::kExport: {
      const std::optional<Json> header = ParseJson(plan.input->first_line());
      if (header && header->is_object() && header->contains("store")) {
        return OptionsFromJson((*header)["store"]);
      }
      return options;
    }
    case InputFormat::kExportCsv: {
      SOP_ASSIGN_OR_RETURN(const Json store, StoreOfExportCsv(plan.input->first_line()));
      return OptionsFromJson(store);
    }
    case InputFormat::kLines:
      options.mutable_schema()->set_shape(v1::KEY_SHAPE_SCALAR);
      AddSchemaField("", btree::ScalarType::kString, options.mutable_schema());
      return options;
    case InputFormat::kCsv:
    case InputFormat::kJsonLines:
      break;
  }
  LineReader lines(plan.input->Rewind());
  SOP_ASSIGN_OR_RETURN(
      const std::unique_ptr<ItemSource> source,
      OpenItems(plan.input->format(), plan.input->dialect(), plan.shape, plan.keys, lines));
  return OptionsForColumns(plan, flagged, source->key_columns());
}

// The columns that were asked for must be those that the store is ordered by.
absl::Status CheckKeyColumns(const ImportPlan& plan, const std::string& store) {
  const bool scalar = plan.keys.schema && plan.keys.schema->form() == btree::KeyForm::kScalar;
  const bool several = plan.shape.key.size() > 1 || !plan.shape.ride_on.empty();
  const bool differ = !plan.keys.index_fields.empty() && !plan.shape.key.empty() &&
                      plan.keys.index_fields != plan.shape.key;
  if ((scalar && several) || differ) {
    return Error(Reason::kOptionsDiffer,
                 fmt::format("store {} is ordered by {}, not by {}", PrintableLine(store),
                             scalar ? "scalar keys"
                                    : fmt::format("{}", fmt::join(plan.keys.index_fields, ",")),
                             fmt::join(plan.shape.key, ",")),
                 {{"store", store}, {"option", "index"}});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImportPlan> MakePlan(Session& session, const ImportFlags& flags) {
  ImportPlan plan;
  const std::vector<KeyColumn> key = ParseKeyColumns(flags.key);
  InputFlags input = flags.input;
  input.has_columns = !flags.columns.empty() || !flags.key.empty();
  SOP_ASSIGN_OR_RETURN(plan.input, ImportInput::Open(session, input));
  plan.shape.columns = flags.columns;
  for (const KeyColumn& column : key) {
    plan.shape.key.push_back(column.name);
  }
  plan.shape.ride_on = flags.ride_on;
  plan.shape.value_column = flags.value_column;
  SOP_ASSIGN_OR_RETURN(plan.shape.types, ParseTypes(flags.types));
  const absl::StatusOr<v1::Store> store = session.GetStore(flags.store);
  if (store.ok()) {
    plan.store_id = store->id();
    SOP_ASSIGN_OR_RETURN(plan.keys, KeysOf(*store));
    plan.unique = !store->options().has_unique() || store->options().unique();
    SOP_RETURN_IF_ERROR(CheckKeyColumns(plan, flags.store));
    return plan;
  }
  if (ReasonIn(store.status()) != "STORE_NOT_FOUND") {
    return store.status();
  }
  SOP_ASSIGN_OR_RETURN(plan.creation, OptionsToCreate(plan, key));
  SOP_ASSIGN_OR_RETURN(plan.keys, PlannedKeys(*plan.creation));
  plan.unique = !plan.creation->has_unique() || plan.creation->unique();
  return plan;
}

}  // namespace sop::cli
