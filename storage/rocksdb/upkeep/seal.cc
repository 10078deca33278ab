#include "storage/rocksdb/upkeep/seal.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/env.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {
namespace {

constexpr std::string_view kMagic = "SOPSEAL1";
constexpr size_t kReadBytes = size_t{1} << 20;

enum class Role { kNone, kTable, kLog, kManifest, kMinor };

Role RoleOf(std::string_view name) {
  const auto numbered = [name](std::string_view suffix) {
    return name.ends_with(suffix) && name.size() > suffix.size() &&
           std::all_of(name.begin(), name.end() - static_cast<ptrdiff_t>(suffix.size()),
                       [](char c) { return c >= '0' && c <= '9'; });
  };
  if (numbered(".sst") || numbered(".blob")) return Role::kTable;
  if (numbered(".log")) return Role::kLog;
  if (name == "CURRENT" || name.starts_with("MANIFEST-")) return Role::kManifest;
  if (name == "IDENTITY" || name.starts_with("OPTIONS-")) return Role::kMinor;
  return Role::kNone;
}

// XXH3 of 1 MiB pieces, each going on from the one before.
absl::StatusOr<uint64_t> ChecksumOf(const std::string& path, rocksdb::Env& env) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  std::string scratch(kReadBytes, '\0');
  uint64_t checksum = 0;
  while (status.ok()) {
    rocksdb::Slice piece;
    status = file->Read(scratch.size(), &piece, scratch.data());
    if (!status.ok() || piece.empty()) break;
    std::string chained;
    base::AppendLittle64(&chained, checksum);
    base::AppendLittle64(&chained, base::Checksum64(View(piece)));
    checksum = base::Checksum64(chained);
  }
  if (!status.ok()) return FromRocksDb(status, fmt::format("read {}", path));
  return checksum;
}

absl::StatusOr<std::map<std::string, uint64_t>> SizesIn(const std::string& path,
                                                        rocksdb::Env& env) {
  std::vector<rocksdb::Env::FileAttributes> found;
  const rocksdb::Status status = env.GetChildrenFileAttributes(path, &found);
  if (!status.ok()) return FromRocksDb(status, fmt::format("list {}", path));
  std::map<std::string, uint64_t> sizes;
  for (const auto& file : found) {
    if (RoleOf(file.name) != Role::kNone) sizes[file.name] = file.size_bytes;
  }
  return sizes;
}

// What is wrong with a file that has a size; empty if nothing.
absl::StatusOr<std::string> Compare(const Seal::File& sealed, uint64_t size,
                                    const std::string& path, rocksdb::Env& env) {
  if (size != sealed.size) return fmt::format("it has {} bytes instead of {}", size, sealed.size);
  if (!sealed.checksum.has_value()) return std::string();
  SOP_ASSIGN_OR_RETURN(const uint64_t checksum, ChecksumOf(path, env));
  return checksum == *sealed.checksum ? std::string() : std::string("its bytes have changed");
}

}  // namespace

std::string EncodeSeal(const Seal& seal) {
  std::string out(kMagic);
  out.push_back(static_cast<char>(seal.state));
  base::AppendVarint(&out, seal.files.size());
  for (const Seal::File& file : seal.files) {
    base::AppendLengthPrefixed(&out, file.name);
    base::AppendVarint(&out, file.size);
    out.push_back(file.checksum.has_value() ? 1 : 0);
    if (file.checksum.has_value()) base::AppendLittle64(&out, *file.checksum);
  }
  base::AppendLittle64(&out, base::Checksum64(out));
  return out;
}

absl::StatusOr<Seal> DecodeSeal(std::string_view path, std::string_view bytes) {
  const absl::Status damaged = Error(Reason::kDamaged, fmt::format("{} is damaged", path));
  constexpr size_t kLeast = kMagic.size() + 10;
  if (bytes.size() < kLeast || !bytes.starts_with(kMagic)) return damaged;
  const std::string_view body = bytes.substr(0, bytes.size() - 8);
  if (base::Checksum64(body) != base::LoadLittle64(bytes.data() + body.size())) return damaged;
  base::ByteReader reader(body.substr(kMagic.size()));
  Seal seal;
  uint8_t state;
  uint64_t count;
  if (!reader.GetByte(&state) || state > 1 || !reader.GetVarint(&count) || count > body.size()) {
    return damaged;
  }
  seal.state = static_cast<Seal::State>(state);
  for (uint64_t i = 0; i < count; ++i) {
    Seal::File& file = seal.files.emplace_back();
    std::string_view name;
    uint8_t present;
    uint64_t checksum;
    if (!reader.GetLengthPrefixed(&name) || !reader.GetVarint(&file.size) ||
        !reader.GetByte(&present) || present > 1) {
      return damaged;
    }
    if (present == 1 && !reader.GetLittle64(&checksum)) return damaged;
    file.name = std::string(name);
    if (present == 1) file.checksum = checksum;
  }
  if (!reader.empty()) return damaged;
  return seal;
}

absl::StatusOr<Seal> MeasureFiles(const std::string& path, rocksdb::Env& env) {
  Seal seal;
  seal.state = Seal::State::kClosed;
  SOP_ASSIGN_OR_RETURN(const auto sizes, SizesIn(path, env));
  for (const auto& [name, size] : sizes) {
    Seal::File file{name, size, std::nullopt};
    if (RoleOf(name) != Role::kTable) {
      SOP_ASSIGN_OR_RETURN(file.checksum, ChecksumOf(fmt::format("{}/{}", path, name), env));
    }
    seal.files.push_back(std::move(file));
  }
  return seal;
}

absl::StatusOr<std::vector<SealProblem>> CompareFiles(const Seal& seal, const std::string& path,
                                                      rocksdb::Env& env) {
  std::vector<SealProblem> problems;
  if (seal.state == Seal::State::kOpen) return problems;
  SOP_ASSIGN_OR_RETURN(auto sizes, SizesIn(path, env));
  const auto add = [&problems](const std::string& name, std::string what) {
    const Role role = RoleOf(name);
    problems.push_back({{fmt::format("db/{}", name), std::move(what), {}},
                        role == Role::kLog || role == Role::kManifest});
  };
  for (const Seal::File& file : seal.files) {
    const auto found = sizes.find(file.name);
    if (found == sizes.end()) {
      add(file.name, "it is not there");
      continue;
    }
    SOP_ASSIGN_OR_RETURN(std::string what,
                         Compare(file, found->second, fmt::format("{}/{}", path, file.name), env));
    if (!what.empty()) add(file.name, std::move(what));
    sizes.erase(found);
  }
  for (const auto& extra : sizes) {
    add(extra.first, "it was not there when the database was closed");
    // Every log is replayed; of manifests only the one that CURRENT names is read.
    if (RoleOf(extra.first) == Role::kManifest) problems.back().decides_commits = false;
  }
  return problems;
}

}  // namespace sop::rocksdb_storage
