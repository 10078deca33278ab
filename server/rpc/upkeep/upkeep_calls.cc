#include "server/rpc/upkeep/upkeep_calls.h"

#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/check/database_check.h"
#include "fmt/format.h"
#include "server/convert/id.h"

namespace sop::rpc {
namespace {

constexpr char kScratch[] = "/verification";

absl::Status Unimplemented() {
  return Error(Reason::kUnimplemented, "this storage has no files to take care of");
}

absl::StatusOr<persistence::Maintenance*> MaintenanceOf(session::OpenDatabase& database) {
  persistence::Maintenance* const maintenance = database.engine->storage().maintenance();
  if (maintenance == nullptr) return Unimplemented();
  return maintenance;
}

void ToProto(const check::Finding& finding, v1::Finding* out) {
  out->set_kind(std::string(check::FindingName(finding.kind)));
  out->set_store(finding.store);
  out->set_what(finding.what);
  if (!finding.unreadable_items.has_value()) return;
  out->set_unreadable_items(*finding.unreadable_items);
  out->set_low(finding.low);
  if (finding.high.has_value()) out->set_high(*finding.high);
}

void ToProto(const check::CheckReport& report, v1::CheckResponse* out) {
  out->set_sound(report.sound());
  out->set_database_uuid(report.database_id.Bytes());
  out->set_commit_version(convert::CommitVersion(report.sequence));
  out->set_stores(report.stores);
  out->set_trees(report.trees);
  out->set_nodes(report.nodes);
  out->set_items(report.items);
  out->set_values(report.values);
  out->set_files(report.files);
  out->set_bytes(report.bytes);
  out->set_milliseconds(static_cast<uint64_t>(absl::ToInt64Milliseconds(report.took)));
  out->set_finding_count(report.finding_count);
  for (const check::Finding& finding : report.findings) ToProto(finding, out->add_findings());
}

void ToProto(const persistence::Backup& backup, v1::StoredBackup* out) {
  out->set_number(backup.number);
  out->set_unix_seconds(absl::ToUnixSeconds(backup.time));
  out->set_bytes(backup.bytes);
  out->set_files(backup.files);
  out->set_database_uuid(backup.database_id.Bytes());
  out->set_commit_version(convert::CommitVersion(backup.sequence));
}

// Whether what was found makes some of the store unreadable or wrong.
bool TakesOffline(check::FindingKind kind) {
  switch (kind) {
    case check::FindingKind::kNodeUnreadable:
    case check::FindingKind::kNodeMissing:
    case check::FindingKind::kKeyOrder:
    case check::FindingKind::kCountDiffers:
    case check::FindingKind::kValueMissing:
    case check::FindingKind::kValueDamaged:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::Status CheckOpenDatabase(session::DatabaseRegistry& databases, const Upkeep& upkeep,
                               RequestContext& context, v1::CheckResponse* response) {
  SOP_ASSIGN_OR_RETURN(const auto database, databases.Acquire(context.database));
  check::CheckOptions options;
  options.wanted = [&context] { return context.CheckWanted(); };
  SOP_ASSIGN_OR_RETURN(const check::CheckReport report,
                       check::CheckStorage(database->engine->storage(), options, *upkeep.clock));
  for (const check::Finding& finding : report.findings) {
    if (!finding.tree.has_value() || !TakesOffline(finding.kind)) continue;
    database->engine->MarkDamaged(*finding.tree, finding.what);
  }
  ToProto(report, response);
  return absl::OkStatus();
}

absl::Status ListBackups(session::DatabaseRegistry& databases, const Upkeep& upkeep,
                         const v1::ListBackupsRequest& request, v1::ListBackupsResponse* response) {
  if (upkeep.backups == nullptr) return Unimplemented();
  SOP_ASSIGN_OR_RETURN(const std::string folder, databases.ResolveOther(request.folder()));
  SOP_ASSIGN_OR_RETURN(const auto backups, upkeep.backups->List(folder));
  for (const auto& backup : backups) ToProto(backup, response->add_backups());
  return absl::OkStatus();
}

absl::Status PruneBackups(session::DatabaseRegistry& databases, const Upkeep& upkeep,
                          const v1::PruneBackupsRequest& request,
                          v1::PruneBackupsResponse* response) {
  if (upkeep.backups == nullptr) return Unimplemented();
  if (request.keep() == 0) {
    return Error(Reason::kInvalidArgument, "keep is 0, it must be at least 1", {{"field", "keep"}});
  }
  SOP_ASSIGN_OR_RETURN(const std::string folder, databases.ResolveOther(request.folder()));
  SOP_ASSIGN_OR_RETURN(const auto backups, upkeep.backups->Prune(folder, request.keep()));
  for (const auto& backup : backups) ToProto(backup, response->add_backups());
  return absl::OkStatus();
}

absl::Status CompactDatabase(session::DatabaseRegistry& databases, const std::string& name) {
  SOP_ASSIGN_OR_RETURN(const auto database, databases.Acquire(name));
  SOP_ASSIGN_OR_RETURN(persistence::Maintenance* const maintenance, MaintenanceOf(*database));
  return maintenance->Compact();
}

absl::Status ReadStatistics(session::DatabaseRegistry& databases, const std::string& name,
                            v1::StatisticsResponse* response) {
  SOP_ASSIGN_OR_RETURN(const auto database, databases.Acquire(name));
  auto& values = *response->mutable_values();
  const txn::Engine::Statistics engine = database->engine->statistics();
  values["engine_commits_count"] = engine.commits;
  values["engine_aborts_count"] = engine.aborts;
  values["engine_groups_count"] = engine.groups;
  values["engine_queued_count"] = engine.queued;
  values["engine_snapshots_count"] = engine.snapshots;
  values["engine_cache_hits_count"] = engine.cache.hits;
  values["engine_cache_misses_count"] = engine.cache.misses;
  persistence::Maintenance* const maintenance = database->engine->storage().maintenance();
  if (maintenance == nullptr) return absl::OkStatus();
  for (const auto& [key, value] : maintenance->Statistics()) values[key] = value;
  return absl::OkStatus();
}

BackupCall::BackupCall(Dispatcher& dispatcher, session::DatabaseRegistry& databases,
                       const Upkeep& upkeep, const grpc::CallbackServerContext& context,
                       const v1::BackupRequest& request)
    : databases_(databases),
      upkeep_(upkeep),
      request_(request),
      scope_(dispatcher, dispatcher.methods().ForRequest(request.GetDescriptor()), context) {
  const absl::Status admitted = scope_.Admit(request);
  if (!admitted.ok()) {
    Finish(scope_.Conclude(admitted));
    return;
  }
  dispatcher.workers().Schedule([this] { Conclude(Run()); });
}

absl::Status BackupCall::Run() {
  if (upkeep_.backups == nullptr) return Unimplemented();
  SOP_ASSIGN_OR_RETURN(const auto database, databases_.Acquire(request_.database()));
  SOP_ASSIGN_OR_RETURN(persistence::Maintenance* const maintenance, MaintenanceOf(*database));
  SOP_ASSIGN_OR_RETURN(const std::string target, databases_.ResolveOther(request_.folder()));
  SOP_ASSIGN_OR_RETURN(
      const persistence::Backup backup,
      maintenance->MakeBackup(target, [this](const persistence::BackupProgress& progress) {
        v1::BackupResponse message;
        message.set_done_bytes(progress.done_bytes);
        message.set_total_bytes(progress.total_bytes);
        Offer(std::move(message));
      }));
  v1::BackupResponse message;
  message.set_done_bytes(backup.bytes);
  message.set_total_bytes(backup.bytes);
  ToProto(backup, message.mutable_backup());
  if (!request_.skip_verification()) {
    SOP_RETURN_IF_ERROR(Verify(target, backup, message.mutable_verified()));
  }
  Offer(std::move(message));
  return absl::OkStatus();
}

absl::Status BackupCall::Verify(const std::string& target, const persistence::Backup& backup,
                                v1::CheckResponse* verified) {
  SOP_RETURN_IF_ERROR(scope_.context().CheckWanted());
  const std::string scratch = target + kScratch;
  base::FileSystem& files = *upkeep_.files;
  // A check that was interrupted leaves it behind.
  if (files.Exists(scratch)) SOP_RETURN_IF_ERROR(files.RemoveRecursively(scratch));
  SOP_RETURN_IF_ERROR(upkeep_.backups->Restore(target, backup.number, scratch).status());
  const auto report =
      check::CheckClosed([&] { return upkeep_.inspect(scratch); }, {}, *upkeep_.clock);
  SOP_RETURN_IF_ERROR(files.RemoveRecursively(scratch));
  SOP_RETURN_IF_ERROR(report.status());
  ToProto(*report, verified);
  if (report->sound()) return absl::OkStatus();
  return Error(Reason::kDamaged,
               fmt::format("backup {} of {} is not sound: {} problems, first {}", backup.number,
                           request_.folder(), report->finding_count, report->findings[0].what));
}

void BackupCall::Offer(v1::BackupResponse message) {
  {
    const base::MutexLock lock(mu_);
    if (busy_) {
      waiting_ = std::make_unique<v1::BackupResponse>(std::move(message));
      return;
    }
    busy_ = true;
    sending_ = std::move(message);
    sent_bytes_ += static_cast<int64_t>(sending_.ByteSizeLong());
    // gRPC only queues it.
    StartWrite(&sending_);
  }
}

void BackupCall::Conclude(const absl::Status& status) {
  {
    const base::MutexLock lock(mu_);
    outcome_ = std::make_unique<absl::Status>(status);
    if (busy_) return;
  }
  Finish(scope_.Conclude(status));
}

void BackupCall::OnWriteDone(bool ok) {
  absl::Status outcome;
  {
    const base::MutexLock lock(mu_);
    if (ok && waiting_ != nullptr) {
      sending_ = std::move(*waiting_);
      waiting_.reset();
      sent_bytes_ += static_cast<int64_t>(sending_.ByteSizeLong());
      StartWrite(&sending_);
      return;
    }
    busy_ = false;
    if (outcome_ == nullptr) return;
    outcome = *outcome_;
  }
  Finish(scope_.Conclude(outcome));
}

void BackupCall::OnDone() {
  int64_t bytes = 0;
  {
    const base::MutexLock lock(mu_);
    bytes = sent_bytes_;
  }
  scope_.Record(bytes);
  delete this;
}

}  // namespace sop::rpc
