#include "clients/cli/transfer/import_progress.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/scanner.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Stub = v1::BtreeService::Stub;

// Behind every chunk, whose rows have the byte at which they begin.
constexpr uint64_t kWhole = uint64_t{1} << 62;
constexpr char kImportField[] = "import";
constexpr char kBeginField[] = "begin";
constexpr int kMostRemoved = 10'000;

uint64_t NumberIn(const Json& row, const char* name) {
  const auto found = row.find(name);
  return found != row.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

ImportProgress::Part PartOf(uint64_t begin, const Json& row) {
  return {.begin = begin == kWhole ? 0 : begin,
          .end = NumberIn(row, "end"),
          .lines = NumberIn(row, "lines"),
          .items = NumberIn(row, "items"),
          .malformed = NumberIn(row, "malformed_lines"),
          .digest = NumberIn(row, "digest"),
          .whole = begin == kWhole};
}

// Everything that decides where chunks begin and what is in them.
std::string Identity(const ImportPlan& plan, const ImportFlags& flags, uint32_t store_id) {
  const std::string text =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", plan.input->lasting_path(),
                  store_id, static_cast<int>(plan.input->format()), plan.input->dialect().separator,
                  plan.input->dialect().quote.value_or('\0'), fmt::join(flags.columns, ","),
                  fmt::join(flags.key, ","), fmt::join(flags.ride_on, ","),
                  fmt::join(flags.types, ","), flags.value_column, flags.batch, flags.existing);
  return fmt::format("{:016x}", base::Checksum64(text));
}

}  // namespace

ImportProgress::ImportProgress(Session& session, const ImportPlan& plan, const ImportFlags& flags,
                               uint32_t store_id)
    : session_(session),
      import_(Identity(plan, flags, store_id)),
      path_(plan.input->lasting_path()),
      store_(flags.store) {}

void ImportProgress::SetKey(uint64_t begin, v1::Key* key) const {
  KeyToProto(btree::Record{{{kImportField, import_}, {kBeginField, static_cast<int64_t>(begin)}}},
             key);
}

void ImportProgress::AddRow(const Part& part, v1::WriteItem* item) const {
  SetKey(part.whole ? kWhole : part.begin, item->mutable_key());
  const Json row = {
      {"file", path_},
      {"store", store_},
      {"end", part.end},
      {"lines", part.lines},
      {"items", part.items},
      {"malformed_lines", part.malformed},
      {"digest", part.digest},
      {"time", absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone())}};
  ValueToProto({JsonText(row), btree::ValueFormat::kJson}, item->mutable_value());
}

v1::AddRequest ImportProgress::RowOf(const Chunk& chunk) const {
  v1::AddRequest request;
  request.set_store(kStore);
  request.set_require_all(true);
  AddRow({.begin = chunk.begin,
          .end = chunk.end,
          .lines = chunk.lines,
          .items = chunk.items,
          .malformed = chunk.malformed,
          .digest = chunk.digest},
         request.add_items());
  return request;
}

absl::StatusOr<std::vector<ImportProgress::Part>> ImportProgress::Load() {
  std::vector<Part> parts;
  const auto keys = session_.GetKeys(kStore);
  if (ReasonIn(keys.status()) == "STORE_NOT_FOUND") {
    return parts;
  }
  SOP_RETURN_IF_ERROR(keys.status());
  v1::ScanRequest request;
  request.set_database(session_.flags.database);
  request.set_store(kStore);
  KeyToProto(btree::Record{{{kImportField, import_}}}, request.mutable_range()->mutable_prefix());
  SOP_RETURN_IF_ERROR(ScanStore(session_, request, *keys, [&](ScannedItem item) -> absl::Status {
    const auto* key = std::get_if<btree::Record>(&item.key);
    const btree::Scalar* begin = key == nullptr ? nullptr : key->Find(kBeginField);
    const std::optional<Json> row = ParseJson(item.value.content);
    if (begin == nullptr || !std::holds_alternative<int64_t>(*begin) || !row || !row->is_object()) {
      return Error(Reason::kInvalidValue,
                   fmt::format("store {} holds a row that no import wrote", kStore),
                   {{"store", kStore}});
    }
    parts.push_back(PartOf(static_cast<uint64_t>(std::get<int64_t>(*begin)), *row));
    return absl::OkStatus();
  }));
  return parts;
}

absl::StatusOr<bool> ImportProgress::Has(const Chunk& chunk) const {
  v1::GetRequest request;
  request.set_database(session_.flags.database);
  request.set_store(kStore);
  SetKey(chunk.begin, request.add_keys());
  Connection& connection = session_.connection();
  SOP_ASSIGN_OR_RETURN(const v1::GetResponse response,
                       connection.Call(connection.btree(), &Stub::Get, request));
  if (response.items().empty()) {
    return false;
  }
  const std::optional<Json> row = ParseJson(response.items(0).value().content());
  return row && row->is_object() && NumberIn(*row, "end") == chunk.end;
}

absl::Status ImportProgress::Prepare() {
  v1::CreateBtreeRequest request;
  request.set_database(session_.flags.database);
  request.set_store(kStore);
  request.set_request_id(Connection::MakeRequestId());
  v1::BtreeOptions* options = request.mutable_options();
  options->mutable_schema()->set_shape(v1::KEY_SHAPE_RECORD);
  AddSchemaField(kImportField, btree::ScalarType::kString, options->mutable_schema());
  AddSchemaField(kBeginField, btree::ScalarType::kInt64, options->mutable_schema());
  options->mutable_index()->add_fields()->set_name(kImportField);
  options->mutable_index()->add_fields()->set_name(kBeginField);
  Connection& connection = session_.connection();
  return connection.Call(connection.btree(), &Stub::CreateBtree, request).status();
}

absl::Status ImportProgress::Forget(const std::vector<Part>& parts) {
  v1::RemoveRequest request;
  Connection& connection = session_.connection();
  for (size_t i = 0; i < parts.size(); ++i) {
    SetKey(parts[i].whole ? kWhole : parts[i].begin, request.add_items()->mutable_key());
    if (request.items_size() == kMostRemoved || i + 1 == parts.size()) {
      request.set_database(session_.flags.database);
      request.set_store(kStore);
      SOP_RETURN_IF_ERROR(connection.Call(connection.btree(), &Stub::Remove, request).status());
      request.Clear();
    }
  }
  return absl::OkStatus();
}

absl::Status ImportProgress::Finish(const std::vector<Part>& parts, const Part& whole) {
  v1::UpsertRequest request;
  request.set_database(session_.flags.database);
  request.set_store(kStore);
  request.set_request_id(Connection::MakeRequestId());
  AddRow(whole, request.add_items());
  Connection& connection = session_.connection();
  SOP_RETURN_IF_ERROR(connection.Call(connection.btree(), &Stub::Upsert, request).status());
  return Forget(parts);
}

}  // namespace sop::cli
