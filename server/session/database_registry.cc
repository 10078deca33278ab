#include "server/session/database_registry.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/time/clock.h"
#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/name.h"
#include "fmt/format.h"
#include "server/observe/log.h"

namespace sop::session {
namespace {

constexpr char kDefault[] = "default";
constexpr char kListFile[] = "databases.toml";
constexpr char kLockFile[] = "LOCK";
constexpr absl::Duration kSharingCheck = absl::Milliseconds(5);

std::string_view Effective(std::string_view name) { return name.empty() ? kDefault : name; }

absl::Status NotFound(std::string_view name) {
  return Error(Reason::kDatabaseNotFound,
               fmt::format("database {} does not exist", base::Printable(Effective(name))),
               {{"database", base::Printable(Effective(name))}});
}

absl::Status Going(std::string_view name) {
  return Error(Reason::kUnavailable,
               fmt::format("database {} is being deleted", base::Printable(Effective(name))),
               {{"database", base::Printable(Effective(name))}});
}

// The name of a database that was given none: stable, and different for equal last parts.
std::string NameOfFolder(const std::string& folder) {
  std::string last = std::filesystem::path(folder).filename().string();
  constexpr size_t kMost = 100;
  if (last.size() > kMost) last.resize(kMost);
  return fmt::format("{}-{:08x}", last, base::Checksum32(folder));
}

// Bytes of all files in the folder; those that vanish meanwhile count nothing.
uint64_t BytesIn(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(folder, error);
  for (; !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    std::error_code vanished;
    if (!it->is_regular_file(vanished)) continue;
    const uint64_t size = it->file_size(vanished);
    if (!vanished) bytes += size;
  }
  return bytes;
}

absl::StatusOr<DatabaseList> ReadList(base::FileSystem& files, const std::string& path) {
  if (!files.Exists(path)) return DatabaseList();
  SOP_ASSIGN_OR_RETURN(const auto file, files.OpenForRead(path));
  SOP_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  SOP_ASSIGN_OR_RETURN(const std::string bytes, file->ReadAt(0, size));
  return ParseDatabaseList(bytes);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DatabaseRegistry>> DatabaseRegistry::Open(Options options) {
  base::FileSystem& files = *options.files;
  SOP_RETURN_IF_ERROR(files.MakeFolders(options.home_folder));
  std::error_code error;
  const auto home = std::filesystem::canonical(options.home_folder, error);
  if (error) {
    return Error(Reason::kUnavailable,
                 fmt::format("data directory {}: {}", base::Printable(options.home_folder),
                             error.message()));
  }
  options.home_folder = home.string();
  auto registry = std::unique_ptr<DatabaseRegistry>(new DatabaseRegistry(std::move(options)));
  const std::string& folder = registry->options_.home_folder;
  auto held = files.Lock(folder + "/" + kLockFile);
  if (!held.ok()) {
    return Error(ReasonOf(held.status()),
                 fmt::format("data directory {} cannot be had: {}", base::Printable(folder),
                             std::string(held.status().message())),
                 DetailsOf(held.status()));
  }
  registry->lock_ = *std::move(held);
  SOP_ASSIGN_OR_RETURN(DatabaseList list, ReadList(files, folder + "/" + kListFile));
  base::MutexLock lock(registry->mu_);
  for (auto& known : list) {
    auto entry = std::make_shared<Entry>();
    entry->known = std::move(known.second);
    registry->entries_.emplace(known.first, std::move(entry));
  }
  auto& fallback = registry->entries_[kDefault];
  if (fallback == nullptr) {
    fallback = std::make_shared<Entry>();
    fallback->known = {.name = kDefault, .folder = registry->HomeFolderOf(kDefault), .uuid = {}};
  }
  return registry;
}

DatabaseRegistry::~DatabaseRegistry() {
  for (const auto& entry : All()) {
    base::MutexLock lock(entry->mu);
    // A commit's last steps may share it still; the engine must not be closed by its own thread.
    while (entry->open != nullptr && entry->open.use_count() > 1) absl::SleepFor(kSharingCheck);
    Close(*entry);
  }
}

void DatabaseRegistry::Close(Entry& entry) {
  if (entry.open == nullptr) return;
  const absl::Status folded = entry.open->engine->engine().Fold();
  observe::Log(config::LogLevel::kInfo, "database closed",
               {{"database", entry.open->name}, {"folded", std::string(folded.message())}});
  entry.open.reset();
  options_.metrics->open_databases().Decrement();
}

std::string DatabaseRegistry::HomeFolderOf(std::string_view name) const {
  return fmt::format("{}/databases/{}", options_.home_folder, name);
}

std::shared_ptr<DatabaseRegistry::Entry> DatabaseRegistry::Find(std::string_view name) {
  base::MutexLock lock(mu_);
  const auto found = entries_.find(Effective(name));
  return found == entries_.end() ? nullptr : found->second;
}

absl::Duration DatabaseRegistry::LastUsed(const OpenDatabase& database) {
  return absl::Nanoseconds(database.last_used_nanos.load(std::memory_order_relaxed));
}

void DatabaseRegistry::Share(OpenDatabase& database) const {
  database.last_used_nanos.store(absl::ToInt64Nanoseconds(options_.clock->Monotonic()),
                                 std::memory_order_relaxed);
}

std::shared_ptr<OpenDatabase> DatabaseRegistry::FindOpen(std::string_view name) {
  const auto entry = Find(name);
  if (entry == nullptr || !entry->mu.TryLock()) return nullptr;
  std::shared_ptr<OpenDatabase> open = entry->going ? nullptr : entry->open;
  if (open != nullptr) Share(*open);
  entry->mu.Unlock();
  return open;
}

absl::StatusOr<std::shared_ptr<OpenDatabase>> DatabaseRegistry::Acquire(std::string_view name) {
  const auto entry = Find(name);
  if (entry == nullptr) return NotFound(name);
  if (entry->going) return Going(name);
  base::MutexLock lock(entry->mu);
  return OpenLocked(*entry);
}

absl::StatusOr<std::shared_ptr<OpenDatabase>> DatabaseRegistry::OpenLocked(Entry& entry) {
  if (entry.deleted) return NotFound(entry.known.name);
  if (entry.going) return Going(entry.known.name);
  if (entry.open == nullptr) {
    const std::string folder = entry.known.folder;
    const std::string name = entry.known.name;
    SOP_RETURN_IF_ERROR(options_.files->MakeFolders(folder));
    SOP_ASSIGN_OR_RETURN(auto engine, options_.opener(name, folder));
    auto open = std::make_shared<OpenDatabase>();
    open->name = name;
    open->folder = folder;
    open->uuid = engine->id();
    open->metrics = options_.metrics->ForDatabase(name);
    open->engine = std::move(engine);
    base::MutexLock lock(mu_);
    if (entry.known.uuid != open->uuid) {
      entry.known.uuid = open->uuid;
      SOP_RETURN_IF_ERROR(SaveLocked());
    }
    options_.metrics->open_databases().Increment();
    observe::Log(config::LogLevel::kInfo, "database opened",
                 {{"database", name}, {"folder", folder}, {"uuid", open->uuid.ToString()}});
    entry.open = std::move(open);
  }
  Share(*entry.open);
  return entry.open;
}

absl::StatusOr<DatabaseRegistry::Creation> DatabaseRegistry::Create(const std::string& name,
                                                                    const std::string& folder) {
  std::string resolved;
  if (!folder.empty()) {
    SOP_ASSIGN_OR_RETURN(resolved, ResolveFolder(folder, options_.rules));
  }
  std::string effective = name;
  if (name.empty()) effective = resolved.empty() ? kDefault : NameOfFolder(resolved);
  SOP_RETURN_IF_ERROR(btree::CheckName("database", effective));
  Creation creation;
  SOP_ASSIGN_OR_RETURN(const auto entry, FindOrAdd(effective, resolved, &creation.origin));
  if (entry->going) return Going(effective);
  base::MutexLock lock(entry->mu);
  auto opened = OpenLocked(*entry);
  if (!opened.ok()) {
    if (creation.origin == Origin::kCreated) {
      // What could not be opened even once is not remembered.
      entry->deleted = true;
      base::MutexLock registry_lock(mu_);
      entries_.erase(entry->known.name);
    }
    return opened.status();
  }
  creation.database = *std::move(opened);
  return creation;
}

absl::StatusOr<std::shared_ptr<DatabaseRegistry::Entry>> DatabaseRegistry::FindOrAdd(
    const std::string& name, const std::string& folder, Origin* origin) {
  *origin = Origin::kFound;
  base::MutexLock lock(mu_);
  for (const auto& entry : entries_) {
    if (!folder.empty() && entry.second->known.folder == folder) return entry.second;
  }
  const auto found = entries_.find(name);
  if (found != entries_.end()) {
    if (folder.empty()) return found->second;
    return Error(Reason::kOptionsDiffer,
                 fmt::format("database {} has another folder than {}", base::Printable(name),
                             base::Printable(folder)),
                 {{"database", base::Printable(name)}, {"option", "stores_folders"}});
  }
  if (std::cmp_greater_equal(entries_.size(), options_.max_databases)) {
    return Error(Reason::kLimitExceeded,
                 fmt::format("the server knows {} databases, limit {}", entries_.size(),
                             options_.max_databases),
                 {{"limit", fmt::format("{}", options_.max_databases)}});
  }
  auto entry = std::make_shared<Entry>();
  entry->known = {.name = name, .folder = folder.empty() ? HomeFolderOf(name) : folder, .uuid = {}};
  SOP_RETURN_IF_ERROR(CheckFolderFreeLocked(entry->known.folder));
  *origin = Origin::kCreated;
  entries_.emplace(name, entry);
  return entry;
}

absl::Status DatabaseRegistry::CheckFolderFreeLocked(const std::string& folder) const {
  std::string other;
  for (const auto& entry : entries_) {
    if (FoldersOverlap(folder, entry.second->known.folder)) other = "database " + entry.first;
  }
  const std::string own = options_.home_folder + "/databases";
  if (FoldersOverlap(folder, options_.home_folder) &&
      std::filesystem::path(folder).parent_path() != own) {
    other = "the server's data directory";
  }
  if (other.empty()) return absl::OkStatus();
  return Error(Reason::kFolderNotAllowed,
               fmt::format("folder {} overlaps that of {}", base::Printable(folder), other),
               {{"folder", base::Printable(folder)}});
}

absl::StatusOr<std::string> DatabaseRegistry::ResolveOther(const std::string& folder) {
  SOP_ASSIGN_OR_RETURN(std::string resolved, ResolveFolder(folder, options_.rules));
  base::MutexLock lock(mu_);
  SOP_RETURN_IF_ERROR(CheckFolderFreeLocked(resolved));
  return resolved;
}

absl::Status DatabaseRegistry::SaveLocked() {
  DatabaseList list;
  for (const auto& entry : entries_) list[entry.first] = entry.second->known;
  return options_.files->WriteDurably(options_.home_folder + "/" + kListFile,
                                      SerializeDatabaseList(list));
}

absl::StatusOr<KnownDatabase> DatabaseRegistry::Describe(std::string_view name) {
  base::MutexLock lock(mu_);
  const auto found = entries_.find(Effective(name));
  if (found == entries_.end()) return NotFound(name);
  return found->second->known;
}

std::vector<KnownDatabase> DatabaseRegistry::List(std::string_view after, size_t limit) {
  std::vector<KnownDatabase> known;
  base::MutexLock lock(mu_);
  for (auto it = entries_.upper_bound(after); it != entries_.end() && known.size() < limit; ++it) {
    known.push_back(it->second->known);
  }
  return known;
}

absl::StatusOr<std::shared_ptr<OpenDatabase>> DatabaseRegistry::TakeForDeletion(
    Entry& entry, Uuid expected_uuid) {
  base::MutexLock lock(entry.mu);
  SOP_ASSIGN_OR_RETURN(auto open, OpenLocked(entry));
  if (!expected_uuid.IsZero() && expected_uuid != open->uuid) {
    return Error(Reason::kPreconditionNotMet,
                 fmt::format("database {} has uuid {}, expected {}", open->name,
                             open->uuid.ToString(), expected_uuid.ToString()),
                 {{"database", open->name}});
  }
  if (entry.going.exchange(true)) return Going(open->name);
  return open;
}

absl::Status DatabaseRegistry::Delete(std::string_view name, Uuid expected_uuid,
                                      absl::Duration patience) {
  const auto entry = Find(name);
  if (entry == nullptr) return NotFound(name);
  if (entry->going) return Going(name);
  SOP_ASSIGN_OR_RETURN(auto open, TakeForDeletion(*entry, expected_uuid));
  const auto stays = absl::MakeCleanup([&entry] { entry->going = false; });
  const absl::Duration give_up = options_.clock->Monotonic() + patience;
  for (;; absl::SleepFor(kSharingCheck)) {
    base::MutexLock lock(entry->mu);
    // Two owners: the entry and this function.
    if (open.use_count() <= 2) return DeleteLocked(*entry, std::move(open));
    if (options_.clock->Monotonic() < give_up) continue;
    return Error(Reason::kUnavailable, fmt::format("database {} is in use", open->name),
                 {{"database", open->name}});
  }
}

absl::Status DatabaseRegistry::DeleteLocked(Entry& entry, std::shared_ptr<OpenDatabase> open) {
  const KnownDatabase known = {.name = open->name, .folder = open->folder, .uuid = open->uuid};
  entry.open.reset();
  open.reset();
  options_.metrics->open_databases().Decrement();
  options_.metrics->ForgetDatabase(known.name);
  {
    // Forgotten first: a list that names a folder half removed would be the worse remainder.
    base::MutexLock registry_lock(mu_);
    if (known.name == kDefault) {
      entry.known.uuid = {};
    } else {
      entry.deleted = true;
      entries_.erase(known.name);
    }
    SOP_RETURN_IF_ERROR(SaveLocked());
  }
  observe::Log(config::LogLevel::kInfo, "database deleted",
               {{"database", known.name}, {"folder", known.folder}});
  return options_.remover(known.folder);
}

std::vector<std::shared_ptr<DatabaseRegistry::Entry>> DatabaseRegistry::All() {
  std::vector<std::shared_ptr<Entry>> entries;
  base::MutexLock lock(mu_);
  for (const auto& entry : entries_) entries.push_back(entry.second);
  return entries;
}

std::vector<std::shared_ptr<OpenDatabase>> DatabaseRegistry::AllOpen() {
  std::vector<std::shared_ptr<OpenDatabase>> all;
  for (const auto& entry : All()) {
    if (!entry->mu.TryLock()) continue;
    if (entry->open != nullptr) all.push_back(entry->open);
    entry->mu.Unlock();
  }
  return all;
}

absl::Status DatabaseRegistry::CheckHealth() {
  for (const auto& open : AllOpen()) {
    const absl::Status health = open->engine->health();
    if (!health.ok()) return WithDetail(health, "database", open->name);
  }
  return absl::OkStatus();
}

void DatabaseRegistry::MeasureDisk() {
  for (const auto& open : AllOpen()) {
    open->metrics.disk_bytes->Set(static_cast<double>(BytesIn(open->folder)));
  }
}

void DatabaseRegistry::CloseIdle() {
  CloseUnused(options_.idle, std::numeric_limits<size_t>::max());
}

size_t DatabaseRegistry::CloseUnused(absl::Duration unused, size_t most) {
  const absl::Duration now = options_.clock->Monotonic();
  const auto is_unused = [&](const std::shared_ptr<OpenDatabase>& open) {
    return open != nullptr && open.use_count() == 1 && now - LastUsed(*open) >= unused;
  };
  std::vector<std::pair<absl::Duration, std::shared_ptr<Entry>>> found;
  for (auto& entry : All()) {
    if (!entry->mu.TryLock()) continue;
    if (is_unused(entry->open)) found.emplace_back(LastUsed(*entry->open), entry);
    entry->mu.Unlock();
  }
  std::sort(found.begin(), found.end());
  if (found.size() > most) found.resize(most);
  size_t closed = 0;
  for (const auto& [last_used, entry] : found) {
    if (!entry->mu.TryLock()) continue;
    if (is_unused(entry->open)) {
      Close(*entry);
      ++closed;
    }
    entry->mu.Unlock();
  }
  return closed;
}

}  // namespace sop::session
