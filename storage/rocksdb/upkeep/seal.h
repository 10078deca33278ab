#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/persistence/maintenance.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace sop::rocksdb_storage {

// What RocksDB's files were when a database was closed (docs/formats/folder.md). RocksDB takes a
// log or a manifest that was cut, or an older copy of one, for the remains of a crash, and forgets
// commits without a word; the seal tells the difference.
struct Seal {
  struct File {
    std::string name;
    uint64_t size = 0;
    // Of the files that RocksDB keeps no checksum of; the others are held against the manifest.
    std::optional<uint64_t> checksum;

    friend bool operator==(const File&, const File&) = default;
  };

  // Whether the database was closed; while it is open, and after a crash, nothing is known.
  enum class State : uint8_t { kOpen = 0, kClosed = 1 };
  State state = State::kOpen;
  std::vector<File> files;  // ascending by name; only of closed ones

  friend bool operator==(const Seal&, const Seal&) = default;
};

std::string EncodeSeal(const Seal& seal);
// DATA_LOSS (kDamaged) for anything that EncodeSeal did not make. `path` is for messages only.
absl::StatusOr<Seal> DecodeSeal(std::string_view path, std::string_view bytes);

// The seal of the closed RocksDB in `path`. Errors of reading.
absl::StatusOr<Seal> MeasureFiles(const std::string& path, rocksdb::Env& env);

struct SealProblem {
  persistence::FileProblem problem;
  // RocksDB itself would not notice and could answer as if commits had never been.
  bool decides_commits = false;
};
// How the files in `path` differ from what `seal` says; nothing if it is not of a closed database.
absl::StatusOr<std::vector<SealProblem>> CompareFiles(const Seal& seal, const std::string& path,
                                                      rocksdb::Env& env);

}  // namespace sop::rocksdb_storage
