#include "tests/faults/engine_on_disk.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "core/base/random.h"
#include "core/base/status_macros.h"
#include "core/btree/node/apply.h"
#include "storage/rocksdb/model_disk/disk_environment.h"

namespace sop::faults {

EngineOnDisk::EngineOnDisk(model_disk::Disk& disk)
    : files_(disk),
      env_(model_disk::MakeDiskEnvironment(disk)),
      environment_(uint64_t{32} << 20, 2, *env_, kLogFilling) {}

EngineOnDisk::~EngineOnDisk() {
  engine_.reset();
  storage_.reset();
}

absl::StatusOr<std::unique_ptr<EngineOnDisk>> EngineOnDisk::Open(model_disk::Disk& disk,
                                                                 const Options& options) {
  std::unique_ptr<EngineOnDisk> opened(new EngineOnDisk(disk));
  rocksdb_storage::RocksDbOptions storage_options;
  storage_options.path = kDatabasePath;
  storage_options.apply = btree::Apply;
  storage_options.reserve_bytes = options.reserve_bytes;
  storage_options.report = options.report;
  SOP_ASSIGN_OR_RETURN(opened->storage_,
                       rocksdb_storage::RocksDbStorage::Open(
                           storage_options, {opened->environment_, opened->files_, opened->clock_,
                                             base::SystemRandom()}));
  txn::EngineOptions engine_options;
  engine_options.clock = &base::SystemClock();
  engine_options.random = &base::SystemRandom();
  engine_options.files = &opened->files_;
  engine_options.pool = &opened->pool_;
  engine_options.cache = std::make_shared<txn::CacheBudget>(size_t{128} << 10);
  engine_options.spill_folder = opened->storage_->spill_folder();
  engine_options.limits.conflict_window_bytes = size_t{64} << 10;
  engine_options.nodes.image_bytes = 1024;
  engine_options.groups_between_folds = options.groups_between_folds;
  SOP_ASSIGN_OR_RETURN(opened->engine_, txn::Engine::Open(*opened->storage_, engine_options));
  return opened;
}

std::string KeepDisk(const model_disk::DiskState& state, const std::string& folder) {
  std::error_code error;
  for (const std::string& path : state.Files()) {
    const std::filesystem::path target = folder + path;
    std::filesystem::create_directories(target.parent_path(), error);
    std::ofstream(target, std::ios::binary) << state.file(state.Find(path)->file).bytes;
  }
  return fmt::format("the disk is kept in {}", folder);
}

uint64_t NumberFrom(const char* variable, uint64_t ours) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? ours : std::strtoull(given, nullptr, 10);
}

}  // namespace sop::faults
