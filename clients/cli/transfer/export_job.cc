#include "clients/cli/transfer/export_job.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "clients/cli/session/open_transaction.h"
#include "clients/cli/session/scanner.h"
#include "clients/cli/text/export_csv.h"
#include "clients/cli/transfer/export_file.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

// A read-only transaction holds nothing but its snapshot.
constexpr OpenTransaction::Options kSnapshot = {.mode = v1::TRANSACTION_MODE_READ_ONLY,
                                                .max_duration = absl::Hours(24),
                                                .idle_limit = absl::Minutes(10)};
constexpr size_t kRowsSizeBytes = 256 << 10;

// What an equal store is made of.
Json OptionsJson(const v1::Store& store) {
  Json json = StoreJson(store);
  for (const char* member : {"id", "items", "size_bytes"}) {
    json.erase(member);
  }
  return json;
}

// Puts calls of the session into a transaction for as long as it lives. Confined to its owner.
class InTransaction {
 public:
  InTransaction(Session& session, const std::string& id)
      : session_(session), before_(session.connection().transaction()) {
    session_.connection().set_transaction(id);
  }
  ~InTransaction() { session_.connection().set_transaction(before_); }
  InTransaction(const InTransaction&) = delete;
  InTransaction& operator=(const InTransaction&) = delete;

 private:
  Session& session_;
  const std::string before_;
};

class Export {
 public:
  Export(Session& session, const ExportFlags& flags) : session_(session), flags_(flags) {
    const bool named_csv = flags.format.empty() && flags.file.ends_with(".csv");
    csv_ = named_csv || flags.format == "csv";
  }

  absl::Status Run();

 private:
  absl::Status FindUnfinished();
  absl::Status ReadState(const Json& state);
  absl::Status BeginSnapshot();
  absl::Status Describe();
  absl::Status OpenFile();
  absl::Status WriteItems();
  absl::Status Take(ScannedItem item, const v1::ScanRequest& request);
  absl::Status WriteRows();
  std::string RowOf(const ScannedItem& item) const;
  Json State() const;
  void Report(absl::Duration elapsed) const;

  Session& session_;
  const ExportFlags& flags_;
  bool csv_ = false;
  std::optional<ExportFile::Unfinished> unfinished_;
  std::unique_ptr<OpenTransaction> snapshot_;
  uint64_t snapshots_ = 1;
  v1::Store store_;
  StoreKeys keys_;
  std::unique_ptr<ExportFile> file_;
  std::string rows_;
  // Of this run and earlier ones.
  uint64_t items_ = 0;
  uint64_t earlier_items_ = 0;
  // Of the last item written, by this run or the one that it goes on with.
  std::optional<Json> last_key_;
  std::string last_item_id_;
  uint32_t earlier_store_id_ = 0;
  std::string earlier_transaction_;
};

absl::Status Export::FindUnfinished() {
  if (!flags_.resume) {
    return absl::OkStatus();
  }
  if (flags_.file.empty() || flags_.file == "-") {
    return UsageError("--resume takes a FILE");
  }
  unfinished_ = ExportFile::FindUnfinished(flags_.file);
  if (!unfinished_) {
    return absl::OkStatus();
  }
  try {
    return ReadState(unfinished_->state);
  } catch (const Json::exception&) {
    return UsageError(
        "the state of what is unfinished is damaged; without --resume it begins anew");
  }
}

absl::Status Export::ReadState(const Json& state) {
  if (state.value("store", "") != flags_.store || state.value("csv", false) != csv_ ||
      state.value("prefix", "") != flags_.range.prefix ||
      state.value("from", "") != flags_.range.from || state.value("to", "") != flags_.range.to) {
    return UsageError("what is unfinished was begun with another store, range or format");
  }
  earlier_items_ = items_ = state.value("items", uint64_t{0});
  snapshots_ = state.value("snapshots", uint64_t{1});
  earlier_store_id_ = state.value("store_id", uint32_t{0});
  absl::Base64Unescape(state.value("transaction", ""), &earlier_transaction_);
  if (state.contains("key")) {
    last_key_ = state["key"];
    last_item_id_ = state.value("item_id", "");
  }
  return absl::OkStatus();
}

absl::Status Export::BeginSnapshot() {
  if (unfinished_) {
    const std::string& id = earlier_transaction_;
    if (!id.empty() && session_.GetKeys(flags_.store, id).ok()) {
      snapshot_ = OpenTransaction::Adopt(session_, id);
      return absl::OkStatus();
    }
    ++snapshots_;
    session_.terminal.Note(
        "the snapshot of the earlier run is gone: what is missing is of a later one");
  }
  SOP_ASSIGN_OR_RETURN(snapshot_, OpenTransaction::Join(session_, kSnapshot));
  return absl::OkStatus();
}

absl::Status Export::Describe() {
  SOP_ASSIGN_OR_RETURN(store_, session_.GetStore(flags_.store));
  SOP_ASSIGN_OR_RETURN(keys_, KeysOf(store_));
  if (unfinished_ && earlier_store_id_ != store_.id()) {
    return Error(Reason::kPreconditionNotMet,
                 fmt::format("store {} is another one than the unfinished export was of",
                             PrintableLine(flags_.store)),
                 {{"store", flags_.store}});
  }
  return absl::OkStatus();
}

absl::Status Export::OpenFile() {
  if (unfinished_) {
    SOP_ASSIGN_OR_RETURN(file_, ExportFile::Resume(flags_.file, *unfinished_));
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(file_, ExportFile::Open(flags_.file));
  const Json store = OptionsJson(store_);
  rows_ = csv_ ? ExportCsvHeading(keys_, store)
               : JsonText(Json::object({{"sop_export", 1}, {"store", store}})) + "\n";
  return WriteRows();
}

std::string Export::RowOf(const ScannedItem& item) const {
  if (csv_) {
    return ExportCsvRow(keys_, item.key, item.value);
  }
  Json json = {{"key", KeyJson(item.key)}};
  AddValue(item.value, &json);
  return JsonText(json) + "\n";
}

Json Export::State() const {
  Json state = {{"store", flags_.store},
                {"store_id", store_.id()},
                {"csv", csv_},
                {"prefix", flags_.range.prefix},
                {"from", flags_.range.from},
                {"to", flags_.range.to},
                {"items", items_},
                {"snapshots", snapshots_},
                {"transaction", snapshot_->joined() ? "" : absl::Base64Escape(snapshot_->id())}};
  if (last_key_) {
    state["key"] = *last_key_;
    state["item_id"] = last_item_id_;
  }
  return state;
}

absl::Status Export::WriteRows() {
  SOP_RETURN_IF_ERROR(file_->Write(rows_));
  rows_.clear();
  return file_->WantsState() ? file_->SaveState(State()) : absl::OkStatus();
}

absl::Status Export::Take(ScannedItem item, const v1::ScanRequest& request) {
  if (item.value_left_out) {
    SOP_ASSIGN_OR_RETURN(item.value, ReadLeftOutValue(session_, request, item));
  }
  rows_ += RowOf(item);
  ++items_;
  if (rows_.size() < kRowsSizeBytes) {
    return absl::OkStatus();
  }
  last_key_ = KeyJson(item.key);
  last_item_id_ = item.item_id.IsZero() ? "" : item.item_id.ToString();
  return WriteRows();
}

absl::Status Export::WriteItems() {
  v1::ScanRequest request;
  request.set_database(session_.flags.database);
  request.set_store(flags_.store);
  request.set_transaction_id(snapshot_->id());
  SOP_ASSIGN_OR_RETURN(*request.mutable_range(), MakeRange(keys_, flags_.range));
  if (last_key_) {
    SOP_ASSIGN_OR_RETURN(const btree::Key after, KeyFromJson(keys_, *last_key_));
    KeyToProto(after, request.mutable_after()->mutable_key());
    if (const auto id = Uuid::Parse(last_item_id_); id) {
      request.mutable_after()->set_item_id(id->Bytes());
    }
  }
  ProgressLine progress("items", store_.item_count());
  SOP_RETURN_IF_ERROR(ScanStore(session_, request, keys_, [&](ScannedItem item) -> absl::Status {
    SOP_RETURN_IF_ERROR(Take(std::move(item), request));
    progress.Update(items_);
    return absl::OkStatus();
  }));
  return file_->Write(std::exchange(rows_, {}));
}

void Export::Report(absl::Duration elapsed) const {
  std::string text = RateText(items_ - earlier_items_, elapsed);
  if (earlier_items_ > 0) {
    text += fmt::format("; {} by earlier runs", WithCommas(earlier_items_));
  }
  if (snapshots_ > 1) {
    text += fmt::format("; of {} snapshots", snapshots_);
  }
  session_.terminal.Note(text);
}

absl::Status Export::Run() {
  const absl::Time start = absl::Now();
  SOP_RETURN_IF_ERROR(FindUnfinished());
  if (flags_.resume && !unfinished_ && std::filesystem::exists(flags_.file)) {
    session_.terminal.Note("the file is complete: nothing to do");
    return absl::OkStatus();
  }
  SOP_RETURN_IF_ERROR(BeginSnapshot());
  const InTransaction in_transaction(session_, snapshot_->id());
  absl::Status status = Describe();
  if (status.ok()) {
    status = OpenFile();
  }
  if (status.ok()) {
    status = WriteItems();
  }
  if (!status.ok()) {
    // For a run that goes on with it.
    snapshot_->Leave();
    if (file_ != nullptr && !flags_.file.empty() && flags_.file != "-") {
      session_.terminal.Note(
          fmt::format("{} items were written before this failure; --resume goes on behind them",
                      WithCommas(items_)));
    }
    return status;
  }
  SOP_RETURN_IF_ERROR(file_->Close());
  Report(absl::Now() - start);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunExport(Session& session, const ExportFlags& flags) {
  return Export(session, flags).Run();
}

}  // namespace sop::cli
