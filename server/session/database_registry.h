#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "server/observe/metrics.h"
#include "server/session/database_list.h"
#include "server/session/folder_rules.h"
#include "server/session/open_database.h"

namespace sop::session {

// Opens the database in a folder, which is made if it is not there.
using FolderOpener = std::function<absl::StatusOr<std::unique_ptr<catalog::Database>>(
    const std::string& name, const std::string& folder)>;
// Removes the files of a database that is closed, and nothing else, from its folder.
using FolderRemover = std::function<absl::Status(const std::string& folder)>;

// The databases of one server: name to folder, remembered in `databases.toml`, opened on first use,
// closed when idle. An empty name means `default`, which is always known.
//
// Invariants:
// 1. A name has one folder and a folder one name; no folder lies in another one's.
// 2. A folder is open at most once.
//
// Lock order: an Entry's `mu`, then `mu_`. Thread-safe.
class DatabaseRegistry {
 public:
  struct Options {
    // The server's data directory; made if it is not there, locked while this lives.
    std::string home_folder;
    FolderRules rules;
    int64_t max_databases = 1'024;
    absl::Duration idle = absl::Minutes(10);
    FolderOpener opener;
    FolderRemover remover;
    // All three must outlive this.
    base::FileSystem* files = nullptr;
    base::Clock* clock = nullptr;
    observe::Metrics* metrics = nullptr;
  };

  // FOLDER_IN_USE, naming the process that holds the data directory; DAMAGED or
  // FORMAT_NOT_SUPPORTED for the list of databases.
  static absl::StatusOr<std::unique_ptr<DatabaseRegistry>> Open(Options options);
  // Waits for those who share a database, then closes all.
  ~DatabaseRegistry();
  DatabaseRegistry(const DatabaseRegistry&) = delete;
  DatabaseRegistry& operator=(const DatabaseRegistry&) = delete;

  // The database if it is open and nobody is busy opening or closing it. Never blocks on I/O.
  std::shared_ptr<OpenDatabase> FindOpen(std::string_view name) SOP_EXCLUDES(mu_);

  // The database, opened if it is not. DATABASE_NOT_FOUND, or why it cannot be opened.
  absl::StatusOr<std::shared_ptr<OpenDatabase>> Acquire(std::string_view name) SOP_EXCLUDES(mu_);

  enum class Origin { kFound, kCreated };
  struct Creation {
    std::shared_ptr<OpenDatabase> database;
    Origin origin = Origin::kFound;
  };
  // Creates or opens. Either may be empty: see CreateDatabaseRequest. INVALID_NAME,
  // INVALID_ARGUMENT, FOLDER_NOT_ALLOWED, OPTIONS_DIFFER, LIMIT_EXCEEDED, or why it cannot be
  // opened.
  absl::StatusOr<Creation> Create(const std::string& name, const std::string& folder)
      SOP_EXCLUDES(mu_);

  // DATABASE_NOT_FOUND.
  absl::StatusOr<KnownDatabase> Describe(std::string_view name) SOP_EXCLUDES(mu_);
  // At most `limit` databases behind the name `after`, by name.
  std::vector<KnownDatabase> List(std::string_view after, size_t limit) SOP_EXCLUDES(mu_);

  // Closes the database and removes it with its files. Waits up to `patience` for those who share
  // it, then UNAVAILABLE, and so is everybody meanwhile who asks for it anew. PRECONDITION_NOT_MET
  // if `expected_uuid` is neither zero nor its own.
  absl::Status Delete(std::string_view name, Uuid expected_uuid, absl::Duration patience)
      SOP_EXCLUDES(mu_);

  // UNAVAILABLE, naming the database, if the log of an open one has failed: what it acknowledges
  // can no longer be trusted to be durable.
  absl::Status CheckHealth() SOP_EXCLUDES(mu_);
  // Those open that nobody is busy opening or closing. Kept from being closed while shared.
  std::vector<std::shared_ptr<OpenDatabase>> AllOpen() SOP_EXCLUDES(mu_);
  // Measures the files of open databases, for the metrics.
  void MeasureDisk() SOP_EXCLUDES(mu_);
  // The folder that a client names for something other than a database, such as backups: resolved,
  // under a root, apart from every database. FOLDER_NOT_ALLOWED, INVALID_ARGUMENT.
  absl::StatusOr<std::string> ResolveOther(const std::string& folder) SOP_EXCLUDES(mu_);
  // Closes what nobody has used for the idle time.
  void CloseIdle() SOP_EXCLUDES(mu_);
  // Closes those unused for the longest time, at most `most`, and none used since `unused`. For
  // when memory is short: they are opened again when they are asked for. Returns how many.
  size_t CloseUnused(absl::Duration unused, size_t most) SOP_EXCLUDES(mu_);

 private:
  struct Entry {
    // Held while opening and closing.
    base::Mutex mu;
    std::shared_ptr<OpenDatabase> open SOP_GUARDED_BY(mu);
    bool deleted SOP_GUARDED_BY(mu) = false;
    std::atomic<bool> going = false;  // somebody deletes it: nobody waits for `mu`
    // Guarded by the registry's mu_.
    KnownDatabase known;
  };

  explicit DatabaseRegistry(Options options) : options_(std::move(options)) {}

  std::string HomeFolderOf(std::string_view name) const;
  std::shared_ptr<Entry> Find(std::string_view name) SOP_EXCLUDES(mu_);
  absl::StatusOr<std::shared_ptr<OpenDatabase>> OpenLocked(Entry& entry) SOP_REQUIRES(entry.mu)
      SOP_EXCLUDES(mu_);
  // The database, which is taken for deletion: nobody else gets it until `going` is lowered.
  absl::StatusOr<std::shared_ptr<OpenDatabase>> TakeForDeletion(Entry& entry, Uuid expected_uuid)
      SOP_EXCLUDES(mu_);
  absl::Status DeleteLocked(Entry& entry, std::shared_ptr<OpenDatabase> open) SOP_REQUIRES(entry.mu)
      SOP_EXCLUDES(mu_);
  // The entry for what Create was given, added if there is none.
  absl::StatusOr<std::shared_ptr<Entry>> FindOrAdd(const std::string& name,
                                                   const std::string& folder, Origin* origin)
      SOP_EXCLUDES(mu_);
  absl::Status CheckFolderFreeLocked(const std::string& folder) const SOP_REQUIRES(mu_);
  absl::Status SaveLocked() SOP_REQUIRES(mu_);
  std::vector<std::shared_ptr<Entry>> All() SOP_EXCLUDES(mu_);
  // REQUIRES: nobody else shares it.
  void Close(Entry& entry) SOP_REQUIRES(entry.mu);
  void Share(OpenDatabase& database) const;
  static absl::Duration LastUsed(const OpenDatabase& database);

  // Constant after construction.
  const Options options_;
  std::unique_ptr<base::FileLock> lock_;

  base::Mutex mu_;
  std::map<std::string, std::shared_ptr<Entry>, std::less<>> entries_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::session
