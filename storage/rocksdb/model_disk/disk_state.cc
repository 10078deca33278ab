#include "storage/rocksdb/model_disk/disk_state.h"

#include <algorithm>

#include "core/base/check.h"

namespace sop::model_disk {
namespace {

constexpr size_t kSector = 512;

// RocksDB refuses a manifest with a hole before its end, and rightly: a damaged one looks the same,
// and taking it for torn would lose commits without a word. File systems that let a file grow only
// after its bytes are written (ext4, XFS, btrfs) leave no such holes.
constexpr std::string_view kGrowsInOrder = "/MANIFEST-";

uint64_t Below(base::Random& random, uint64_t bound) { return random.Next64() % bound; }

// Puts back into `bytes` what was overwritten, but for the first `kept` bytes of it.
void UndoOverwriting(const DiskState::File& file, size_t kept, std::string* bytes) {
  size_t after = 0;
  for (const auto& overwritten : file.overwritten) after += overwritten.second.size();
  for (auto it = file.overwritten.rbegin(); it != file.overwritten.rend(); ++it) {
    const auto& [at, before] = *it;
    after -= before.size();
    const size_t stays = kept > after ? std::min(kept - after, before.size()) : 0;
    bytes->replace(at + stays, before.size() - stays, before, stays);
  }
}

// Puts back some of the sectors that were overwritten.
void UndoSectors(const DiskState::File& file, base::Random& random, std::string* bytes) {
  std::string before = *bytes;
  UndoOverwriting(file, 0, &before);
  std::map<size_t, bool> undone;  // by sector
  for (const auto& [begin, replaced] : file.overwritten) {
    for (size_t at = begin; at < begin + replaced.size(); ++at) {
      const auto [sector, fresh] = undone.try_emplace(at / kSector);
      if (fresh) sector->second = Below(random, 2) == 0;
      if (sector->second) (*bytes)[at] = before[at];
    }
  }
}

std::string BytesAfterPowerLoss(const DiskState::File& file, Survival survival,
                                base::Random& random) {
  const size_t unsynced = file.bytes.size() - file.durable;
  size_t overwritten = 0;
  for (const auto& [at, before] : file.overwritten) overwritten += before.size();
  std::string bytes;
  switch (file.overwritings_lost ? Survival::kNothing : survival) {
    case Survival::kNothing:
      bytes = file.bytes.substr(0, file.durable);
      UndoOverwriting(file, 0, &bytes);
      break;
    case Survival::kAll:
      bytes = file.bytes;
      break;
    case Survival::kPrefix: {
      const size_t kept = Below(random, overwritten + unsynced + 1);
      bytes = file.bytes.substr(0, file.durable + (kept > overwritten ? kept - overwritten : 0));
      UndoOverwriting(file, kept, &bytes);
      break;
    }
    case Survival::kSectors:
      bytes = file.bytes.substr(0, file.durable + Below(random, unsynced + 1));
      for (size_t at = file.durable; at < bytes.size();) {
        const size_t end = std::min(bytes.size(), (at / kSector + 1) * kSector);
        if (Below(random, 2) == 0) std::fill(bytes.begin() + at, bytes.begin() + end, '\0');
        at = end;
      }
      UndoSectors(file, random, &bytes);
      break;
  }
  for (const auto& [begin, end] : file.lost) {
    const size_t stop = std::min(end, bytes.size());
    if (begin < stop) std::fill(bytes.begin() + begin, bytes.begin() + stop, '\0');
  }
  return bytes;
}

void WriteOver(DiskState::File& file, size_t at, const std::string& bytes) {
  SOP_CHECK(at + bytes.size() <= file.bytes.size());
  if (at < file.durable) {
    const size_t size = std::min(bytes.size(), file.durable - at);
    file.overwritten.emplace_back(at, file.bytes.substr(at, size));
  }
  file.bytes.replace(at, bytes.size(), bytes);
}

void Truncate(DiskState::File& file, size_t size) {
  file.bytes.resize(size, '\0');
  file.durable = std::min(file.durable, size);
  std::erase_if(file.overwritten, [size](const auto& before) { return before.first >= size; });
  for (auto& [at, before] : file.overwritten) before.resize(std::min(before.size(), size - at));
}

}  // namespace

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

DiskState::DiskState() { names_["/"] = durable_names_["/"] = {true, 0}; }

DiskState::File& DiskState::Writable(uint64_t file) {
  std::shared_ptr<File>& shared = files_.at(file);
  if (shared.use_count() > 1) shared = std::make_shared<File>(*shared);
  return *shared;
}

void DiskState::ChangeNames(const std::string& folder, NameChange change) {
  for (const auto& [name, node] : change) {
    if (node.has_value()) {
      names_[name] = *node;
    } else {
      names_.erase(name);
    }
  }
  unsynced_[folder].push_back(std::move(change));
}

void DiskState::Apply(const DiskOperation& operation) {
  using Kind = DiskOperation::Kind;
  switch (operation.kind) {
    case Kind::kCreate:
      files_[operation.file] = std::make_shared<File>();
      ChangeNames(ParentOf(operation.path), {{operation.path, Node{false, operation.file}}});
      break;
    case Kind::kCreateFolder:
      ChangeNames(ParentOf(operation.path), {{operation.path, Node{true, 0}}});
      break;
    case Kind::kAppend:
      Writable(operation.file).bytes += operation.bytes;
      break;
    case Kind::kOverwrite:
      WriteOver(Writable(operation.file), operation.number, operation.bytes);
      break;
    case Kind::kTruncate:
      Truncate(Writable(operation.file), operation.number);
      break;
    case Kind::kSync: {
      File& file = Writable(operation.file);
      file.durable = file.bytes.size();
      if (!file.overwritings_lost) file.overwritten.clear();
      break;
    }
    case Kind::kSyncFails: {
      File& file = Writable(operation.file);
      file.overwritings_lost = file.overwritings_lost || !file.overwritten.empty();
      file.lost.emplace_back(file.durable, file.bytes.size());
      break;
    }
    case Kind::kRemove:
      ChangeNames(ParentOf(operation.path), {{operation.path, std::nullopt}});
      break;
    case Kind::kRename: {
      const Node node = names_.at(operation.path);
      SOP_CHECK(ParentOf(operation.path) == ParentOf(operation.target));
      ChangeNames(ParentOf(operation.path),
                  {{operation.path, std::nullopt}, {operation.target, node}});
      break;
    }
    case Kind::kLink:
      ChangeNames(ParentOf(operation.target), {{operation.target, names_.at(operation.path)}});
      break;
    case Kind::kSyncFolder:
      for (const NameChange& change : unsynced_[operation.path]) {
        for (const auto& [name, node] : change) {
          if (node.has_value()) {
            durable_names_[name] = *node;
          } else {
            durable_names_.erase(name);
          }
        }
      }
      unsynced_.erase(operation.path);
      break;
    case Kind::kMark:
      break;
  }
}

std::optional<DiskState::Node> DiskState::Find(const std::string& path) const {
  const auto it = names_.find(path);
  if (it == names_.end()) return std::nullopt;
  return it->second;
}

std::vector<std::string> DiskState::List(const std::string& folder) const {
  std::vector<std::string> names;
  for (const auto& [path, node] : names_) {
    if (path != "/" && ParentOf(path) == folder) names.push_back(path.substr(path.rfind('/') + 1));
  }
  return names;
}

std::vector<std::string> DiskState::Files() const {
  std::vector<std::string> paths;
  for (const auto& [path, node] : names_) {
    if (!node.is_folder) paths.push_back(path);
  }
  return paths;
}

uint64_t DiskState::used_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [path, node] : names_) {
    if (!node.is_folder) bytes += file(node.file).bytes.size();
  }
  return bytes;
}

std::map<std::string, DiskState::Node> DiskState::NamesAfterPowerLoss(Survival survival,
                                                                      base::Random& random) const {
  std::map<std::string, Node> names = durable_names_;
  for (const auto& [folder, changes] : unsynced_) {
    size_t kept = 0;
    if (survival == Survival::kAll) kept = changes.size();
    if (survival == Survival::kPrefix) kept = Below(random, changes.size() + 1);
    for (size_t i = 0; i < kept; ++i) {
      for (const auto& [name, node] : changes[i]) {
        if (node.has_value()) {
          names[name] = *node;
        } else {
          names.erase(name);
        }
      }
    }
  }
  // What lies in a folder that is gone is gone. Parents sort before their children.
  for (auto it = names.begin(); it != names.end();) {
    const auto parent = names.find(ParentOf(it->first));
    const bool there = parent != names.end() && parent->second.is_folder;
    it = there ? std::next(it) : names.erase(it);
  }
  return names;
}

DiskState DiskState::AfterPowerLoss(Survival bytes, Survival names, base::Random& random) const {
  DiskState after;
  after.names_ = after.durable_names_ = NamesAfterPowerLoss(names, random);
  for (const auto& [path, node] : after.names_) {
    if (node.is_folder || after.files_.contains(node.file)) continue;
    const std::shared_ptr<File>& before = files_.at(node.file);
    if (before->durable == before->bytes.size() && before->lost.empty() &&
        before->overwritten.empty()) {
      after.files_[node.file] = before;
      continue;
    }
    auto file = std::make_shared<File>();
    const bool in_order = path.find(kGrowsInOrder) != std::string::npos;
    const Survival survival = in_order && bytes == Survival::kSectors ? Survival::kPrefix : bytes;
    file->bytes = BytesAfterPowerLoss(*before, survival, random);
    file->durable = file->bytes.size();
    after.files_[node.file] = std::move(file);
  }
  return after;
}

void DiskState::Overwrite(const std::string& path, std::string bytes) {
  const uint64_t fresh = next_file();
  auto file = std::make_shared<File>();
  file->durable = bytes.size();
  file->bytes = std::move(bytes);
  files_[fresh] = std::move(file);
  names_[path] = durable_names_[path] = {false, fresh};
}

}  // namespace sop::model_disk
