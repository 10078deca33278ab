#include "clients/cli/import_job.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "clients/cli/item_writer.h"
#include "clients/cli/key_columns.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/open_transaction.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

// Malformed lines that are named one by one; the others are only counted.
constexpr uint64_t kNamedLines = 20;

// What is to be read, and into what.
struct ImportPlan {
  std::unique_ptr<ImportInput> input;
  ItemShape shape;
  StoreKeys keys;
  // Of the store that is to be created; absent if it is there.
  std::optional<v1::BtreeOptions> creation;
  bool unique = true;
};

struct MalformedLines {
  uint64_t count = 0;
  uint64_t first_line = 0;
  std::string first_complaint;
};

// The lines of the input from its beginning, as items.
class ItemPass {
 public:
  static absl::StatusOr<std::unique_ptr<ItemPass>> Begin(const ImportPlan& plan) {
    std::unique_ptr<ItemPass> pass(new ItemPass(plan.input->Rewind()));
    SOP_ASSIGN_OR_RETURN(pass->source_, OpenItems(plan.input->format(), plan.input->dialect(),
                                                  plan.shape, plan.keys, pass->lines_));
    return pass;
  }

  ItemSource& source() { return *source_; }
  uint64_t bytes_read() const { return lines_.bytes_read(); }

 private:
  explicit ItemPass(std::istream& stream) : lines_(stream) {}

  LineReader lines_;
  std::unique_ptr<ItemSource> source_;
};

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
    case InputFormat::kLines:
      options.mutable_schema()->set_shape(v1::KEY_SHAPE_SCALAR);
      AddSchemaField("", btree::ScalarType::kString, options.mutable_schema());
      return options;
    case InputFormat::kCsv:
    case InputFormat::kJsonLines:
      break;
  }
  SOP_ASSIGN_OR_RETURN(const std::unique_ptr<ItemPass> pass, ItemPass::Begin(plan));
  return OptionsForColumns(plan, flagged, pass->source().key_columns());
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

absl::StatusOr<ImportPlan> MakePlan(Session& session, const ImportFlags& flags) {
  ImportPlan plan;
  const std::vector<KeyColumn> key = ParseKeyColumns(flags.key);
  InputFlags input = flags.input;
  input.has_columns = !flags.columns.empty() || !flags.key.empty();
  SOP_ASSIGN_OR_RETURN(plan.input, ImportInput::Open(input));
  plan.shape.columns = flags.columns;
  for (const KeyColumn& column : key) {
    plan.shape.key.push_back(column.name);
  }
  plan.shape.ride_on = flags.ride_on;
  plan.shape.value_column = flags.value_column;
  SOP_ASSIGN_OR_RETURN(plan.shape.types, ParseTypes(flags.types));
  const absl::StatusOr<v1::Store> store = session.GetStore(flags.store);
  if (store.ok()) {
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

void NoteMalformed(Session& session, uint64_t line, const std::string& complaint,
                   MalformedLines* malformed) {
  if (malformed->count == 0) {
    malformed->first_line = line;
    malformed->first_complaint = complaint;
  }
  if (++malformed->count <= kNamedLines) {
    session.terminal.Note(fmt::format("line {}: {}", line, PrintableLine(complaint)));
  }
}

// Also refuses keys that the store would refuse. kMalformed if so.
RowOutcome NextChecked(const ImportPlan& plan, ItemSource& source, ImportItem* item,
                       std::string* complaint) {
  const RowOutcome outcome = source.Next(item);
  if (outcome != RowOutcome::kRow || !plan.keys.schema) {
    *complaint = source.complaint();
    return outcome;
  }
  const absl::Status encoded = plan.keys.schema->Encode(item->key).status();
  *complaint = std::string(encoded.message());
  return encoded.ok() ? RowOutcome::kRow : RowOutcome::kMalformed;
}

class Import {
 public:
  Import(Session& session, const ImportFlags& flags, ImportPlan plan)
      : session_(session), flags_(flags), plan_(std::move(plan)) {}

  // Counts items and malformed lines without writing anything.
  absl::Status Check();
  absl::Status Write();

 private:
  absl::StatusOr<ImportItem*> Next(ItemPass& pass, ImportItem* item);
  absl::Status Create(const std::string& transaction_id);
  absl::Status WriteItems(ItemWriter& writer);
  ExistingItems existing() const;
  void Report(const ItemWriter& writer, const std::string& commit_version, absl::Duration elapsed);

  Session& session_;
  const ImportFlags& flags_;
  ImportPlan plan_;
  MalformedLines malformed_;
};

// The next item; null at the end. Malformed lines are noted and passed over.
absl::StatusOr<ImportItem*> Import::Next(ItemPass& pass, ImportItem* item) {
  while (true) {
    std::string complaint;
    const RowOutcome outcome = NextChecked(plan_, pass.source(), item, &complaint);
    if (outcome == RowOutcome::kEnd) {
      return nullptr;
    }
    if (outcome == RowOutcome::kRow) {
      return item;
    }
    NoteMalformed(session_, pass.source().line(), complaint, &malformed_);
  }
}

absl::Status Import::Check() {
  SOP_ASSIGN_OR_RETURN(const std::unique_ptr<ItemPass> pass, ItemPass::Begin(plan_));
  ProgressLine progress("bytes checked", plan_.input->size_bytes());
  ImportItem item;
  while (true) {
    SOP_ASSIGN_OR_RETURN(const ImportItem* next, Next(*pass, &item));
    if (next == nullptr) {
      break;
    }
    progress.Update(pass->bytes_read());
  }
  if (malformed_.count == 0) {
    return absl::OkStatus();
  }
  return Error(Reason::kInvalidArgument,
               fmt::format("{} malformed line{}, the first is line {}: {}; nothing was imported "
                           "(--skip-malformed leaves them out)",
                           malformed_.count, malformed_.count == 1 ? "" : "s",
                           malformed_.first_line, malformed_.first_complaint),
               {{"line", fmt::format("{}", malformed_.first_line)}});
}

absl::Status Import::Create(const std::string& transaction_id) {
  if (!plan_.creation) {
    return absl::OkStatus();
  }
  v1::CreateBtreeRequest request;
  request.set_database(session_.flags.database);
  request.set_store(flags_.store);
  request.set_transaction_id(transaction_id);
  if (transaction_id.empty()) {
    request.set_request_id(Connection::MakeRequestId());
  }
  *request.mutable_options() = *plan_.creation;
  Connection& connection = session_.connection();
  SOP_ASSIGN_OR_RETURN(
      const v1::CreateBtreeResponse response,
      connection.Call(connection.btree(), &v1::BtreeService::Stub::CreateBtree, request));
  SOP_ASSIGN_OR_RETURN(plan_.keys, KeysOf(response.store()));
  return absl::OkStatus();
}

ExistingItems Import::existing() const {
  if (!plan_.unique) {
    return ExistingItems::kDuplicate;
  }
  return flags_.existing == "keep"   ? ExistingItems::kKeep
         : flags_.existing == "fail" ? ExistingItems::kFail
                                     : ExistingItems::kReplace;
}

absl::Status Import::WriteItems(ItemWriter& writer) {
  SOP_ASSIGN_OR_RETURN(const std::unique_ptr<ItemPass> pass, ItemPass::Begin(plan_));
  ProgressLine progress("bytes", plan_.input->size_bytes());
  ImportItem item;
  while (true) {
    SOP_ASSIGN_OR_RETURN(const ImportItem* next, Next(*pass, &item));
    if (next == nullptr) {
      return writer.Finish();
    }
    SOP_RETURN_IF_ERROR(writer.Write(*next));
    progress.Update(pass->bytes_read());
  }
}

absl::Status Import::Write() {
  const absl::Time start = absl::Now();
  std::unique_ptr<OpenTransaction> transaction;
  if (flags_.one_transaction) {
    SOP_ASSIGN_OR_RETURN(transaction,
                         OpenTransaction::Begin(session_, {.max_duration = absl::Hours(1)}));
  }
  const std::string id = transaction == nullptr ? "" : transaction->id();
  SOP_RETURN_IF_ERROR(Create(id));
  ItemWriter writer(session_, plan_.keys,
                    {.store = flags_.store,
                     .transaction_id = id,
                     .existing = existing(),
                     .batch_items = flags_.batch});
  const absl::Status written = WriteItems(writer);
  if (!written.ok()) {
    session_.terminal.Note(transaction != nullptr
                               ? "nothing was imported"
                               : fmt::format("{} items were imported before this failure",
                                             WithCommas(writer.tally().total())));
    return written;
  }
  std::string commit_version = writer.commit_version();
  if (transaction != nullptr) {
    SOP_ASSIGN_OR_RETURN(commit_version, transaction->Commit());
  }
  Report(writer, commit_version, absl::Now() - start);
  return absl::OkStatus();
}

void Import::Report(const ItemWriter& writer, const std::string& commit_version,
                    absl::Duration elapsed) {
  const WriteTally& tally = writer.tally();
  if (session_.terminal.json()) {
    session_.terminal.PrintJson({{"items", tally.total()},
                                 {"added", tally.added},
                                 {"replaced", tally.replaced},
                                 {"already_there", tally.already_there},
                                 {"malformed_lines", malformed_.count},
                                 {"seconds", absl::ToDoubleSeconds(elapsed)},
                                 {"commit_version", VersionText(commit_version)}});
  }
  std::string text = RateText(tally.total(), elapsed);
  const auto add = [&text](uint64_t count, std::string_view what) {
    if (count > 0) {
      text += fmt::format("; {} {}", WithCommas(count), what);
    }
  };
  add(tally.replaced, "replaced what was there");
  add(tally.already_there, "already there and kept");
  add(malformed_.count, "malformed lines left out");
  session_.terminal.Note(text + (flags_.one_transaction ? "; in one transaction" : ""));
}

}  // namespace

absl::Status RunImport(Session& session, const ImportFlags& flags) {
  SOP_ASSIGN_OR_RETURN(ImportPlan plan, MakePlan(session, flags));
  Import import(session, flags, std::move(plan));
  if (!flags.skip_malformed) {
    SOP_RETURN_IF_ERROR(import.Check());
  }
  return import.Write();
}

}  // namespace sop::cli
