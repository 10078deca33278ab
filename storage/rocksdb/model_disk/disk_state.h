#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/random.h"

namespace sop::model_disk {

// One step of a disk's life. Paths are absolute and plain.
struct DiskOperation {
  enum class Kind : uint8_t {
    kCreate,        // `path` is the fresh file `file`
    kCreateFolder,  // `path`
    kAppend,        // `bytes` to `file`
    kOverwrite,     // `bytes` over as many of `file`, from `number` on
    kTruncate,      // `file` to `number` bytes
    kSync,          // everything of `file` is on stable storage
    kSyncFails,     // what `file` has not on stable storage never gets there
    kRemove,        // `path`
    kRename,        // `path` to `target`
    kLink,          // `target` is another name of the file `path`
    kSyncFolder,    // the names in `path` are on stable storage
    kMark,          // nothing happens; `number` is for the reader of a journal
  };
  Kind kind = Kind::kMark;
  uint64_t file = 0;
  uint64_t number = 0;
  std::string path;
  std::string target;
  std::string bytes;

  // A machine that loses its power just before or after this finds something else.
  bool IsSync() const {
    return kind == Kind::kSync || kind == Kind::kSyncFails || kind == Kind::kSyncFolder;
  }
};

// What became of bytes and names that were not on stable storage when the power went.
enum class Survival : uint8_t {
  kNothing,  // gone
  kAll,      // there
  kPrefix,   // some of them, in the order of their making, cut at any byte
  kSectors,  // some sectors of 512 bytes, in no order; the others read as zeros, or as they were
             // before if they were overwritten (not in manifests)
};

// Files and folders with what is on stable storage and what is not yet. Copies share the bytes of
// files until either changes them. Thread-compatible.
class DiskState {
 public:
  struct Node {
    bool is_folder = false;
    uint64_t file = 0;
  };
  struct File {
    std::string bytes;
    // Bytes from the front that are on stable storage, but for those overwritten since.
    size_t durable = 0;
    // What is on stable storage in place of what overwrote it, by where it begins; oldest first.
    std::vector<std::pair<size_t, std::string>> overwritten;
    std::vector<std::pair<size_t, size_t>> lost;  // [begin, end) that a failed sync dropped
    bool overwritings_lost = false;               // by a failed sync
  };

  DiskState();

  // REQUIRES: `operation` is possible: names exist or do not, parents exist.
  void Apply(const DiskOperation& operation);

  std::optional<Node> Find(const std::string& path) const;
  const File& file(uint64_t file) const { return *files_.at(file); }
  uint64_t next_file() const { return files_.empty() ? 1 : files_.rbegin()->first + 1; }
  // Names in the folder, sorted.
  std::vector<std::string> List(const std::string& folder) const;
  // Paths of all files, sorted.
  std::vector<std::string> Files() const;
  uint64_t used_bytes() const;

  // What is found after the power went. Everything in it is on stable storage.
  DiskState AfterPowerLoss(Survival bytes, Survival names, base::Random& random) const;

  // Makes `path` hold `bytes`, durably: for damage. REQUIRES: its parent is there.
  void Overwrite(const std::string& path, std::string bytes);

 private:
  // Names that come, change or go together; nothing: the name goes.
  using NameChange = std::vector<std::pair<std::string, std::optional<Node>>>;

  void ChangeNames(const std::string& folder, NameChange change);
  std::map<std::string, Node> NamesAfterPowerLoss(Survival names, base::Random& random) const;
  File& Writable(uint64_t file);

  std::map<std::string, Node> names_;
  std::map<std::string, Node> durable_names_;
  std::map<std::string, std::vector<NameChange>> unsynced_;  // by folder, oldest first
  std::map<uint64_t, std::shared_ptr<File>> files_;
};

// The folder of a path.
std::string ParentOf(const std::string& path);

}  // namespace sop::model_disk
