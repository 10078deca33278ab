#include "storage/rocksdb/upkeep/file_check.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/metadata.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/base/thread_pool.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {
namespace {

constexpr size_t kReadBytes = size_t{2} << 20;
constexpr int kThreads = 2;
// A table with more trees than this is named without them.
constexpr uint32_t kMaxTrees = 10'000;

struct Expected {
  std::string name;  // with a leading slash
  uint64_t size = 0;
  std::string checksum;
  std::vector<TreeId> trees;
};

std::vector<TreeId> TreesBetween(std::string_view smallest, std::string_view largest) {
  std::vector<TreeId> trees;
  if (smallest.size() < 4 || largest.size() < 4) return trees;
  const uint32_t first = base::LoadBig32(smallest.data());
  const uint32_t last = base::LoadBig32(largest.data());
  if (last < first || last - first > kMaxTrees) return trees;
  for (uint32_t tree = first; tree < last; ++tree) trees.push_back(TreeId{tree});
  trees.push_back(TreeId{last});
  return trees;
}

std::vector<Expected> TablesOf(const OpenDatabase& database, std::string_view checksum_name) {
  std::vector<Expected> tables;
  std::vector<rocksdb::LiveFileMetaData> files;
  database.db().GetLiveFilesMetaData(&files);
  for (const auto& file : files) {
    Expected& table = tables.emplace_back();
    table.name = file.name;
    table.size = file.size;
    if (file.file_checksum_func_name == checksum_name) table.checksum = file.file_checksum;
    const bool has_trees =
        file.column_family_name == kFamilyNames[1] || file.column_family_name == kFamilyNames[2];
    if (has_trees) table.trees = TreesBetween(file.smallestkey, file.largestkey);
  }
  rocksdb::ColumnFamilyMetaData blobs;
  database.db().GetColumnFamilyMetaData(database.family(Family::kBlobs), &blobs);
  for (const auto& file : blobs.blob_files) {
    Expected& table = tables.emplace_back();
    table.name = file.blob_file_name;
    if (!table.name.starts_with('/')) table.name.insert(0, "/");
    table.size = file.blob_file_size;
    // RocksDB 7.8 gives the two in either order.
    if (file.checksum_method == checksum_name) table.checksum = file.checksum_value;
    if (file.checksum_value == checksum_name) table.checksum = file.checksum_method;
  }
  return tables;
}

// What is wrong with the file; empty if nothing. Adds what was read to `*bytes`.
std::string Compare(const std::string& path, const Expected& expected,
                    rocksdb::FileChecksumGenerator& generator, rocksdb::Env& env,
                    std::atomic<uint64_t>* bytes) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  std::string scratch(kReadBytes, '\0');
  uint64_t size = 0;
  while (status.ok()) {
    rocksdb::Slice piece;
    status = file->Read(scratch.size(), &piece, scratch.data());
    if (!status.ok() || piece.empty()) break;
    size += piece.size();
    generator.Update(piece.data(), piece.size());
  }
  *bytes += size;
  if (status.IsNotFound() || status.IsPathNotFound()) return "it is not there";
  if (!status.ok()) return fmt::format("it cannot be read: {}", status.ToString());
  // The size of a blob file in the manifest leaves out its header and footer.
  const bool table = path.ends_with(".sst");
  if (table && size != expected.size) {
    return fmt::format("it has {} bytes instead of {}", size, expected.size);
  }
  generator.Finalize();
  if (expected.checksum.empty() || generator.GetChecksum() == expected.checksum) return "";
  return "its bytes are not those that were written";
}

}  // namespace

absl::StatusOr<persistence::FileCheck> VerifyTables(const OpenDatabase& database) {
  const auto factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  const std::string name =
      factory->CreateFileChecksumGenerator(rocksdb::FileChecksumGenContext())->Name();
  // Compactions may go on; what they replace stays until the files are read.
  rocksdb::DB& db = database.db();
  const bool held = db.DisableFileDeletions().ok();  // not in a read-only one, where none happen
  const std::vector<Expected> tables = TablesOf(database, name);
  persistence::FileCheck check;
  check.files = tables.size();
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> bytes{0};
  base::Mutex mu;
  const auto work = [&] {
    for (size_t i = next++; i < tables.size(); i = next++) {
      const auto generator =
          factory->CreateFileChecksumGenerator(rocksdb::FileChecksumGenContext());
      std::string what = Compare(database.folder().rocksdb_path() + tables[i].name, tables[i],
                                 *generator, database.env(), &bytes);
      if (what.empty()) continue;
      base::MutexLock lock(mu);
      check.problems.push_back({"db" + tables[i].name, std::move(what), tables[i].trees});
    }
  };
  {
    base::ThreadPool threads(kThreads);
    for (int i = 0; i < kThreads; ++i) threads.Schedule(work);
  }
  if (held) db.EnableFileDeletions(false).PermitUncheckedError();
  check.bytes = bytes;
  return check;
}

}  // namespace sop::rocksdb_storage
