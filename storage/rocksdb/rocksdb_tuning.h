#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "core/persistence/storage.h"
#include "storage/rocksdb/rocksdb_environment.h"

namespace sop::rocksdb_storage {

// The families of a database, in the order in which they are opened. RocksDB insists on a family
// named "default"; nothing is kept there.
enum class Family { kDefault = 0, kNodes = 1, kBlobs = 2, kMeta = 3, kOutcomes = 4, kFeed = 5 };
inline constexpr std::array<const char*, 6> kFamilyNames = {"default", "nodes",    "blobs",
                                                            "meta",    "outcomes", "feed"};

// Where the rows of core/txn are.
Family FamilyOf(persistence::Space space);

rocksdb::DBOptions TunedOptions(const RocksDbEnvironment& environment);

// One descriptor per Family, in its order.
std::vector<rocksdb::ColumnFamilyDescriptor> TunedFamilies(const RocksDbEnvironment& environment,
                                                           persistence::ApplyFunction apply);

}  // namespace sop::rocksdb_storage
