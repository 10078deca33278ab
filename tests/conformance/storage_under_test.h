#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/persistence/storage.h"
#include "storage/memory/fault_injecting_storage.h"

namespace sop::conformance {

// A kind of storage whose contract the suite checks. Confined to one test.
class StorageUnderTest {
 public:
  virtual ~StorageUnderTest() = default;
  // Opens the database, closing what was open before; the same bytes every time.
  // What is returned, and was before, dies with the next call.
  virtual memory::FaultInjectingStorage& Reopen(persistence::ApplyFunction apply) = 0;
  // Moves everything to where it ends up in the long run (RocksDB: flush and compaction).
  virtual void Settle() = 0;
};

std::unique_ptr<StorageUnderTest> MemoryUnderTest();
std::unique_ptr<StorageUnderTest> RocksDbUnderTest();

// Deltas meet images by being appended; a missing image is "()".
std::string Concatenate(std::optional<std::string_view> image,
                        std::span<const std::string_view> deltas);

}  // namespace sop::conformance
