#include "clients/cli/transfer/import_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/open_transaction.h"
#include "clients/cli/transfer/chunk_queue.h"
#include "clients/cli/transfer/chunk_reader.h"
#include "clients/cli/transfer/chunk_writer.h"
#include "clients/cli/transfer/import_progress.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

using Part = ImportProgress::Part;

class Import {
 public:
  Import(Session& session, const ImportFlags& flags, ImportPlan plan)
      : session_(session), flags_(flags), plan_(std::move(plan)) {}

  absl::Status Run();

 private:
  absl::Status CheckAll();
  absl::Status Create(const std::string& transaction_id);
  // What earlier runs did; forgotten unless this one goes on with it.
  absl::Status LoadProgress();
  absl::Status CheckUnchanged() const;
  absl::Status WriteAll(const std::string& transaction_id);
  absl::Status LearnKeys(ChunkReader& reader, ChunkWriter& writer,
                         const std::string& transaction_id);
  absl::Status WriteChunks(ChunkReader& reader, ChunkWriter& writer);
  absl::Status Take(Chunk chunk, ChunkWriter& writer);
  absl::Status RecordWhole();
  void NoteMalformed(const Chunk& chunk);
  void NoteStop(bool one_transaction);
  void Report();
  ExistingItems existing() const;
  ChunkReader::OnError on_error() const {
    return flags_.on_error == "stop" ? ChunkReader::OnError::kStop : ChunkReader::OnError::kSkip;
  }

  Session& session_;
  const ImportFlags& flags_;
  ImportPlan plan_;
  // Null if the input will not be there again, or if one transaction has it all.
  std::unique_ptr<ImportProgress> progress_;
  // Rows are written: there is more than one chunk.
  bool recorded_ = false;
  // Of earlier runs and of this one.
  std::vector<Part> parts_;
  uint64_t earlier_items_ = 0;
  uint64_t malformed_ = 0;
  uint64_t told_ = 0;
  WriteTally tally_;
  std::string commit_version_;
  absl::Time start_ = absl::Now();
};

absl::Status Import::CheckAll() {
  SOP_ASSIGN_OR_RETURN(const auto reader,
                       ChunkReader::Open(plan_, ChunkReader::OnError::kSkip, {}, {}));
  ProgressLine progress("bytes checked", plan_.input->size_bytes());
  std::optional<MalformedLine> first;
  while (true) {
    SOP_ASSIGN_OR_RETURN(const std::optional<Chunk> chunk, reader->Next());
    if (!chunk) {
      break;
    }
    if (!first && !chunk->told.empty()) {
      first = chunk->told.front();
    }
    NoteMalformed(*chunk);
    progress.Update(chunk->end);
  }
  if (!first) {
    return absl::OkStatus();
  }
  return Error(Reason::kInvalidArgument,
               fmt::format("{} malformed line{}, the first is line {}: {}; nothing was imported "
                           "(--on-error skip leaves them out)",
                           malformed_, malformed_ == 1 ? "" : "s", first->line, first->complaint),
               {{"line", fmt::format("{}", first->line)}});
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
  if (transaction_id.empty()) {
    // The id that the commit gave it; a creation is answered with another one.
    SOP_ASSIGN_OR_RETURN(const v1::Store store, session_.GetStore(flags_.store));
    plan_.store_id = store.id();
  }
  return absl::OkStatus();
}

absl::Status Import::LoadProgress() {
  progress_ = std::make_unique<ImportProgress>(session_, plan_, flags_, plan_.store_id);
  SOP_ASSIGN_OR_RETURN(parts_, progress_->Load());
  if (parts_.empty()) {
    if (flags_.resume) {
      session_.terminal.Note("nothing of this import was done before: it begins at the beginning");
    }
    return absl::OkStatus();
  }
  if (!flags_.resume) {
    SOP_RETURN_IF_ERROR(progress_->Forget(std::exchange(parts_, {})));
    return absl::OkStatus();
  }
  for (const Part& part : parts_) {
    earlier_items_ += part.items;
    malformed_ += part.malformed;
  }
  return CheckUnchanged();
}

absl::Status Import::CheckUnchanged() const {
  for (const Part& part : parts_) {
    const bool longer = part.whole && plan_.input->size_bytes() != part.end;
    if (longer || part.end > plan_.input->size_bytes() ||
        plan_.input->DigestBefore(part.end) != part.digest) {
      return Error(
          Reason::kPreconditionNotMet,
          fmt::format("the file has changed before byte {} since it was imported that far; "
                      "without --resume it is imported anew",
                      part.end),
          {{"store", flags_.store}, {"file", PrintableLine(plan_.input->lasting_path())}});
    }
  }
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

absl::Status Import::Take(Chunk chunk, ChunkWriter& writer) {
  // One chunk that is everything needs no row: it is there or it is not.
  if (progress_ != nullptr && !recorded_ && (flags_.resume || !chunk.is_last)) {
    SOP_RETURN_IF_ERROR(progress_->Prepare());
    recorded_ = true;
  }
  NoteMalformed(chunk);
  parts_.push_back({.begin = chunk.begin,
                    .end = chunk.end,
                    .lines = chunk.lines,
                    .items = chunk.items,
                    .malformed = chunk.malformed,
                    .digest = chunk.digest});
  return writer.Write(std::move(chunk), recorded_ ? progress_.get() : nullptr);
}

// The types of keys that nobody has declared are decided by the first item.
absl::Status Import::LearnKeys(ChunkReader& reader, ChunkWriter& writer,
                               const std::string& transaction_id) {
  if (plan_.keys.schema) {
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(std::optional<Chunk> first, reader.NextSingle());
  if (!first) {
    return absl::OkStatus();
  }
  SOP_RETURN_IF_ERROR(Take(*std::move(first), writer));
  SOP_RETURN_IF_ERROR(writer.Finish());
  SOP_ASSIGN_OR_RETURN(plan_.keys, session_.GetKeys(flags_.store, transaction_id));
  return reader.Reopen();
}

absl::Status Import::WriteChunks(ChunkReader& reader, ChunkWriter& writer) {
  ProgressLine progress("bytes", plan_.input->size_bytes());
  ChunkQueue queue;
  std::thread thread([&reader, &queue] {
    while (true) {
      absl::StatusOr<std::optional<Chunk>> chunk = reader.Next();
      if (!chunk.ok() || !*chunk || !queue.Put(**std::move(chunk))) {
        queue.End(chunk.status());
        return;
      }
    }
  });
  absl::Status status;
  while (status.ok()) {
    absl::StatusOr<std::optional<Chunk>> chunk = queue.Take();
    status = chunk.status();
    if (!status.ok() || !*chunk) {
      break;
    }
    const uint64_t end = (*chunk)->end;
    status = Take(**std::move(chunk), writer);
    progress.Update(end);
  }
  queue.Close();
  thread.join();
  const absl::Status finished = writer.Finish();
  return status.ok() ? finished : status;
}

absl::Status Import::WriteAll(const std::string& transaction_id) {
  std::vector<ChunkReader::Done> done;
  for (const Part& part : parts_) {
    done.push_back({part.begin, part.end, part.lines});
  }
  SOP_ASSIGN_OR_RETURN(const auto reader,
                       ChunkReader::Open(plan_, on_error(), {.items = flags_.batch}, done));
  ChunkWriter writer(
      session_, {.store = flags_.store, .transaction_id = transaction_id, .existing = existing()});
  absl::Status status = LearnKeys(*reader, writer, transaction_id);
  if (status.ok()) {
    status = WriteChunks(*reader, writer);
  }
  tally_ = writer.tally();
  commit_version_ = writer.commit_version();
  if (!status.ok()) {
    NoteStop(!transaction_id.empty());
    return status;
  }
  return RecordWhole();
}

absl::Status Import::RecordWhole() {
  // An earlier run may have been killed between its last chunk and this.
  const bool left_to_record = progress_ != nullptr && flags_.resume && !parts_.empty();
  if (!recorded_ && !left_to_record) {
    return absl::OkStatus();
  }
  const uint64_t size = plan_.input->size_bytes();
  Part whole = {.end = size,
                .items = earlier_items_ + tally_.total(),
                .malformed = malformed_,
                .digest = plan_.input->DigestBefore(size),
                .whole = true};
  for (const Part& part : parts_) {
    whole.lines = std::max(whole.lines, part.lines);
  }
  return progress_->Finish(parts_, whole);
}

void Import::NoteMalformed(const Chunk& chunk) {
  malformed_ += chunk.malformed;
  for (const MalformedLine& line : chunk.told) {
    if (++told_ <= Chunk::kMostTold) {
      session_.terminal.Note(fmt::format("line {}: {}", line.line, PrintableLine(line.complaint)));
    }
  }
}

void Import::NoteStop(bool one_transaction) {
  if (one_transaction) {
    session_.terminal.Note("nothing was imported");
    return;
  }
  session_.terminal.Note(fmt::format("{} items were imported before this failure{}",
                                     WithCommas(earlier_items_ + tally_.total()),
                                     recorded_ ? "; --resume goes on behind them" : ""));
}

void Import::Report() {
  const absl::Duration elapsed = absl::Now() - start_;
  if (session_.terminal.json()) {
    session_.terminal.PrintJson({{"items", tally_.total()},
                                 {"added", tally_.added},
                                 {"replaced", tally_.replaced},
                                 {"already_there", tally_.already_there},
                                 {"imported_earlier", earlier_items_},
                                 {"malformed_lines", malformed_},
                                 {"seconds", absl::ToDoubleSeconds(elapsed)},
                                 {"commit_version", VersionText(commit_version_)}});
  }
  std::string text = RateText(tally_.total(), elapsed);
  const auto add = [&text](uint64_t count, std::string_view what) {
    if (count > 0) {
      text += fmt::format("; {} {}", WithCommas(count), what);
    }
  };
  add(tally_.replaced, "replaced what was there");
  add(tally_.already_there, "already there and kept");
  add(earlier_items_, "imported by earlier runs");
  add(malformed_, "malformed lines left out");
  session_.terminal.Note(text + (flags_.one_transaction ? "; in one transaction" : ""));
}

absl::Status Import::Run() {
  if (flags_.on_error == "check") {
    SOP_RETURN_IF_ERROR(CheckAll());
    malformed_ = told_ = 0;
  }
  const bool one_transaction =
      flags_.one_transaction || !session_.connection().transaction().empty();
  if (flags_.resume && (one_transaction || plan_.input->lasting_path().empty())) {
    return UsageError(
        "--resume takes a file and several transactions: one transaction is all or nothing");
  }
  std::unique_ptr<OpenTransaction> transaction;
  if (one_transaction) {
    SOP_ASSIGN_OR_RETURN(transaction,
                         OpenTransaction::Join(session_, {.max_duration = absl::Hours(1)}));
  }
  const std::string id = transaction == nullptr ? "" : transaction->id();
  SOP_RETURN_IF_ERROR(Create(id));
  if (transaction == nullptr && !plan_.input->lasting_path().empty()) {
    SOP_RETURN_IF_ERROR(LoadProgress());
  }
  if (!parts_.empty() && parts_.back().whole) {
    session_.terminal.Note("all of this file was imported before: nothing to do");
    return absl::OkStatus();
  }
  SOP_RETURN_IF_ERROR(WriteAll(id));
  if (transaction != nullptr) {
    SOP_ASSIGN_OR_RETURN(commit_version_, transaction->Commit());
  }
  Report();
  return absl::OkStatus();
}

}  // namespace

absl::Status RunImport(Session& session, const ImportFlags& flags) {
  SOP_ASSIGN_OR_RETURN(ImportPlan plan, MakePlan(session, flags));
  return Import(session, flags, std::move(plan)).Run();
}

}  // namespace sop::cli
