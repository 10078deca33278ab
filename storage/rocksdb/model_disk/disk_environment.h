#pragma once

#include <memory>

#include "storage/rocksdb/model_disk/disk.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace sop::model_disk {

// An environment whose files are on `disk`, which must outlive it and every database opened in it.
// Threads and clock are the machine's. RocksDB's own log of events is dropped.
std::shared_ptr<rocksdb::Env> MakeDiskEnvironment(Disk& disk);

}  // namespace sop::model_disk
