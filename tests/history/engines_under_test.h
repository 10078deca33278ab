#pragma once

#include <memory>
#include <vector>

#include "core/txn/engine.h"

namespace sop::history {

// The engines of one database: one, or two that take the log's tail from each other. Confined to
// one test.
class EnginesUnderTest {
 public:
  virtual ~EnginesUnderTest() = default;
  txn::Engine& engine(int client) {
    return *engines_[static_cast<size_t>(client) % engines_.size()];
  }
  bool single() const { return engines_.size() == 1; }
  // Records that lost the tail or were written; what makes a run worth anything.
  uint64_t groups() const;

 protected:
  std::vector<std::unique_ptr<txn::Engine>> engines_;
};

enum class EngineKind { kMemory, kTwoCommitters, kRocksDb };
// With the options of StrainedEngine.
std::unique_ptr<EnginesUnderTest> OpenEngines(EngineKind kind);

}  // namespace sop::history
