#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/random.h"
#include "core/btree/node/apply.h"
#include "core/btree/node/delta.h"
#include "core/btree/node/node_image.h"
#include "tests/conformance/storage_under_test.h"

// Damaged bytes meet the real Apply inside a storage: through put, flush, compaction and reopening,
// nothing may fail, and whole nodes stay whole.
namespace sop::conformance {
namespace {

using persistence::CommitRecord;
using persistence::NodeAction;

constexpr TreeId kTree{5};
constexpr int kNodes = 400;
constexpr int kRounds = 6;

struct Kind {
  const char* name;
  std::unique_ptr<StorageUnderTest> (*make)();
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

uint64_t Seed() {
  const char* seed = std::getenv("SOP_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : 42;
}

// Makes images and deltas: whole, damaged in places, and noise.
class Garbage {
 public:
  explicit Garbage(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t limit) { return random_.Next64() % limit; }

  std::string Image(Sequence sequence) {
    const bool leaf = Below(2) == 0;
    btree::NodeImageBuilder builder(leaf ? btree::NodeKind::kLeaf : btree::NodeKind::kInner,
                                    leaf ? 0 : 1);
    std::vector<std::string> keys;
    for (uint64_t i = 0; i < 5; ++i) keys.push_back(fmt::format("key{}", 2 * i));
    for (const std::string& key : keys) {
      if (leaf) {
        btree::ItemView item;
        item.version = sequence;
        item.value = key;
        builder.AddItem(key, item);
      } else {
        builder.AddChild(key, {NodeId{Below(100)}, Below(100)});
      }
    }
    std::string bytes = Spoil(builder.Build({sequence, sequence, 0}));
    // With a checksum that agrees, the fields themselves have to hold.
    if (bytes.size() >= btree::NodeImage::kHeaderSize && Below(2) == 0) {
      base::StoreLittle32(bytes.data() + 4, base::Checksum32(std::string_view(bytes).substr(8)));
    }
    return bytes;
  }

  std::string Delta(Sequence sequence) {
    std::vector<std::string> keys;
    for (uint64_t i = 0; i < 10; ++i) keys.push_back(fmt::format("key{}", i));
    btree::DeltaView delta;
    delta.sequence = sequence;
    const bool inner = Below(4) == 0;
    for (const std::string& key : keys) {
      if (Below(3) != 0) continue;
      btree::DeltaOperation operation;
      operation.sequence = sequence;
      operation.key = key;
      if (inner) {
        operation.kind = Below(2) == 0 ? btree::DeltaKind::kLink : btree::DeltaKind::kUnlink;
        operation.child = NodeId{Below(100)};
      } else {
        operation.kind = Below(3) != 0 ? btree::DeltaKind::kPut : btree::DeltaKind::kErase;
        operation.item.version = sequence;
        operation.item.value = key;
      }
      delta.operations.push_back(operation);
    }
    std::string bytes = Spoil(btree::EncodeDelta(delta));
    if (bytes.size() >= 4 && Below(2) == 0) {
      bytes.resize(bytes.size() - 4);
      base::AppendLittle32(&bytes, base::Checksum32(bytes));
    }
    return bytes;
  }

 private:
  std::string Spoil(std::string bytes) {
    switch (Below(6)) {
      case 0:
        for (uint64_t i = 1 + Below(4); i > 0; --i) {
          bytes[Below(bytes.size())] = static_cast<char>(Below(256));
        }
        return bytes;
      case 1:
        bytes.resize(Below(bytes.size()));
        return bytes;
      case 2:
        bytes.assign(Below(300), '\0');
        for (char& c : bytes) c = static_cast<char>(Below(256));
        return bytes;
      default:
        return bytes;
    }
  }

  base::SeededRandom random_;
};

bool IsWhole(const std::optional<std::string>& image) {
  return image.has_value() && btree::NodeImage::Parse(*image).ok();
}

class GarbageApplyTest : public ::testing::TestWithParam<Kind> {
 protected:
  // Appends one record that changes about half of the nodes, and the same to the oracle.
  void Change() {
    const Sequence tail = storage_->log().Tail();
    CommitRecord record;
    record.first = record.last = Sequence{tail.value + 1};
    for (uint64_t i = 1; i <= kNodes; ++i) {
      const uint64_t choice = garbage_.Below(10);
      std::optional<std::string>& node = oracle_[i];
      if (choice < 4) {
        const std::string delta = garbage_.Delta(record.first);
        record.nodes.push_back({kTree, NodeId{i}, NodeAction::kMerge, delta});
        const std::string_view view = delta;
        node =
            btree::Apply(node.has_value() ? std::optional<std::string_view>(*node) : std::nullopt,
                         std::span(&view, 1));
      } else if (choice == 4) {
        node = garbage_.Image(record.first);
        record.nodes.push_back({kTree, NodeId{i}, NodeAction::kPut, *node});
      } else if (choice == 5 && garbage_.Below(4) == 0) {
        node.reset();
        record.nodes.push_back({kTree, NodeId{i}, NodeAction::kRemove, ""});
      }
    }
    const auto result = storage_->log().Append(tail, record, persistence::Durability::kRelaxed);
    ASSERT_TRUE(result.ok()) << result.status();
  }

  // Deltas may meet a damaged image in one step or in several, so only whole nodes are compared
  // byte by byte.
  void Compare() {
    const auto snapshot = storage_->nodes().TakeSnapshot().value();
    for (const auto& [node, expected] : oracle_) {
      const auto image = snapshot->ReadNode(kTree, NodeId{node});
      ASSERT_TRUE(image.ok()) << image.status();
      ASSERT_EQ(image->has_value(), expected.has_value()) << node;
      ASSERT_EQ(IsWhole(*image), IsWhole(expected)) << node;
      if (IsWhole(expected)) {
        ASSERT_EQ(*image, expected) << node;
        ++whole_;
      } else if (expected.has_value()) {
        ++damaged_;
      }
    }
  }

  Garbage garbage_{Seed()};
  std::map<uint64_t, std::optional<std::string>> oracle_;
  uint64_t whole_ = 0;
  uint64_t damaged_ = 0;
  std::unique_ptr<StorageUnderTest> database_ = GetParam().make();
  persistence::Storage* storage_ = &database_->Reopen(btree::Apply);
};

TEST_P(GarbageApplyTest, NothingFailsAndWholeNodesStayWhole) {
  SCOPED_TRACE(Seed());
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 4; ++i) Change();
    Compare();
    if (round % 2 == 0) database_->Settle();
    Compare();
    if (round % 3 == 0) storage_ = &database_->Reopen(btree::Apply);
    Compare();
  }
  EXPECT_GT(whole_, 100U);
  EXPECT_GT(damaged_, 100U);
}

INSTANTIATE_TEST_SUITE_P(Storages, GarbageApplyTest,
                         ::testing::Values(Kind{"Memory", MemoryUnderTest},
                                           Kind{"RocksDb", RocksDbUnderTest}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sop::conformance
