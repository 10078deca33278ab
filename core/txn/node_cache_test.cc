#include "core/txn/node_cache.h"

#include <deque>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/random.h"
#include "core/txn/test_seed.h"

namespace sop::txn {
namespace {

constexpr TreeId kTree{3};

btree::NodeRef Leaf(uint64_t sequence) {
  btree::NodeImageBuilder builder(btree::NodeKind::kLeaf, 0);
  return btree::NodeVersion::FromImage(
      btree::NodeImage::Adopt(builder.Build({Sequence{sequence}, Sequence{0}, 0})));
}

// An inner node's sequence does not say since when its counts are what they are.
btree::NodeRef Inner() {
  btree::NodeImageBuilder builder(btree::NodeKind::kInner, 1);
  builder.AddChild({}, {NodeId{77}, 1});
  return btree::NodeVersion::FromImage(
      btree::NodeImage::Adopt(builder.Build({Sequence{1}, Sequence{1}, 0})));
}

class NodeCacheTest : public testing::Test {
 protected:
  btree::NodeRef FindAt(NodeId node, uint64_t at, bool* known) {
    btree::NodeRef version;
    *known = cache_.Find(kTree, node, Sequence{at}, &version);
    return version;
  }
  std::shared_ptr<CacheBudget> budget_ = std::make_shared<CacheBudget>(size_t{1} << 20);
  NodeCache cache_{budget_};
};

TEST_F(NodeCacheTest, AVersionEndsWhereItsSuccessorBegins) {
  const NodeId node{9};
  const btree::NodeRef first = Leaf(5);
  const btree::NodeRef second = Leaf(8);
  cache_.Install(kTree, node, Sequence{5}, first);
  cache_.Install(kTree, node, Sequence{8}, second);
  bool known;
  EXPECT_EQ(FindAt(node, 7, &known), first);
  EXPECT_EQ(FindAt(node, 8, &known), second);
  EXPECT_EQ(FindAt(node, 100, &known), second);
  FindAt(node, 4, &known);
  EXPECT_FALSE(known);
}

TEST_F(NodeCacheTest, AnAbsenceIsKnownToo) {
  cache_.Insert(kTree, NodeId{9}, Sequence{5}, nullptr);
  bool known;
  EXPECT_EQ(FindAt(NodeId{9}, 5, &known), nullptr);
  EXPECT_TRUE(known);
  FindAt(NodeId{9}, 4, &known);
  EXPECT_FALSE(known);
}

TEST_F(NodeCacheTest, WhatAnotherCommitterChangedIsNoLongerTheNewest) {
  const NodeId node{9};
  const btree::NodeRef first = Leaf(5);
  cache_.Insert(kTree, node, Sequence{5}, first);
  cache_.Invalidate(kTree, node, Sequence{7});
  btree::NodeRef newest;
  EXPECT_FALSE(cache_.FindNewest(kTree, node, &newest));
  bool known;
  EXPECT_EQ(FindAt(node, 6, &known), first);
  FindAt(node, 7, &known);
  EXPECT_FALSE(known);
  // A reader that still holds 6 must not make the cache believe that it is the newest.
  cache_.Insert(kTree, node, Sequence{6}, first);
  EXPECT_FALSE(cache_.FindNewest(kTree, node, &newest));
}

TEST_F(NodeCacheTest, VersionsBehindAHeldSnapshotStayFew) {
  const NodeId node{9};
  std::vector<btree::NodeRef> versions;
  cache_.Publish(Sequence{10}, Sequence{10});
  for (uint64_t at = 10; at < 5'000; ++at) {
    versions.push_back(Leaf(at));
    cache_.Install(kTree, node, Sequence{at}, versions.back());
    cache_.Publish(Sequence{at}, Sequence{10});
  }
  EXPECT_LT(budget_->used_bytes(), size_t{32} << 10);
  bool known;
  // The ends stay: what the held snapshot reads, and what is read now.
  EXPECT_EQ(FindAt(node, 10, &known), versions.front());
  EXPECT_EQ(FindAt(node, 4'999, &known), versions.back());
  EXPECT_EQ(FindAt(node, 4'998, &known), versions[4'988]);
  FindAt(node, 2'000, &known);
  EXPECT_FALSE(known);
  // One that is read again holds for its snapshot and says nothing of others.
  cache_.Insert(kTree, node, Sequence{2'000}, versions[1'990]);
  EXPECT_EQ(FindAt(node, 2'000, &known), versions[1'990]);
  FindAt(node, 2'001, &known);
  EXPECT_FALSE(known);
}

TEST_F(NodeCacheTest, VersionsThatNoHeldSnapshotSeesGo) {
  const NodeId node{9};
  std::vector<btree::NodeRef> versions;
  const auto install = [&](uint64_t first, uint64_t last) {
    for (uint64_t at = first; at <= last; ++at) {
      versions.push_back(Leaf(at));
      cache_.Install(kTree, node, Sequence{at}, versions.back());
    }
    cache_.Publish(Sequence{last}, Sequence{12});
  };
  install(10, 20);
  cache_.Hold({Sequence{12}, Sequence{16}, Sequence{20}});
  install(21, 22);
  bool known;
  for (const uint64_t held : {12, 16, 20, 21, 22}) {
    EXPECT_EQ(FindAt(node, held, &known), versions[held - 10]) << held;
  }
  for (const uint64_t gone : {13, 14, 15, 17, 18, 19}) {
    FindAt(node, gone, &known);
    EXPECT_FALSE(known) << gone;
  }
  // What is read again of those holds for its snapshot and says nothing of others.
  cache_.Insert(kTree, node, Sequence{14}, versions[4]);
  EXPECT_EQ(FindAt(node, 14, &known), versions[4]);
  FindAt(node, 15, &known);
  EXPECT_FALSE(known);
}

TEST_F(NodeCacheTest, ALeafThatIsReadAgainIsNotKeptTwice) {
  const NodeId node{9};
  const btree::NodeRef leaf = Leaf(5);
  // Something of the same place was forgotten, so it is known for the one snapshot only.
  cache_.Invalidate(kTree, node, Sequence{20});
  cache_.Insert(kTree, node, Sequence{10}, leaf);
  const size_t once = budget_->used_bytes();
  cache_.Insert(kTree, node, Sequence{30}, Leaf(5));
  EXPECT_EQ(budget_->used_bytes(), once);
  bool known;
  for (const uint64_t at : {5, 10, 20, 30, 40}) EXPECT_EQ(FindAt(node, at, &known), leaf) << at;
}

TEST(CacheBudgetTest, WhatIsUsedLittleGivesWayToWhatIsUsedMuch) {
  auto budget = std::make_shared<CacheBudget>(size_t{1} << 20);
  NodeCache idle(budget);
  NodeCache busy(budget);
  const auto fill = [](NodeCache& cache) {
    cache.Publish(Sequence{5}, Sequence{5});
    for (uint64_t node = 1; node <= 10'000; ++node) {
      cache.Insert(kTree, NodeId{node}, Sequence{5}, Leaf(5));
    }
  };
  fill(idle);
  const int64_t before = idle.charged_bytes();
  EXPECT_GT(before, int64_t{900} << 10);
  for (int round = 0; round < 40; ++round) {
    fill(busy);
    btree::NodeRef version;
    for (uint64_t node = 1; node <= 10'000; ++node) {
      busy.Find(kTree, NodeId{node}, Sequence{5}, &version);
    }
    budget->Rebalance();
  }
  EXPECT_LT(idle.charged_bytes(), before / 2);
  EXPECT_GT(idle.charged_bytes(), before / 20) << "everybody keeps a share";
  EXPECT_GT(busy.charged_bytes(), before / 2);
}

TEST(CacheBudgetTest, CachesGiveWayToTheRestOfTheProcess) {
  auto whole = std::make_shared<base::MemoryBudget>(size_t{1} << 20);
  auto budget = std::make_shared<CacheBudget>(size_t{1} << 20, whole);
  NodeCache cache(budget);
  cache.Publish(Sequence{5}, Sequence{5});
  for (uint64_t node = 1; node <= 10'000; ++node) {
    cache.Insert(kTree, NodeId{node}, Sequence{5}, Leaf(5));
  }
  EXPECT_EQ(whole->cached_bytes(), cache.charged_bytes());
  whole->Charge(int64_t{512} << 10);
  budget->Rebalance();
  EXPECT_LE(cache.charged_bytes(), int64_t{512} << 10);
  EXPECT_GT(cache.charged_bytes(), int64_t{400} << 10);
  EXPECT_FALSE(whole->cache_exceeded());
}

TEST_F(NodeCacheTest, MemoryIsGivenBack) {
  {
    NodeCache cache(budget_);
    for (uint64_t i = 1; i < 100; ++i) cache.Install(kTree, NodeId{i}, Sequence{i}, Leaf(i));
    EXPECT_GT(budget_->used_bytes(), 0U);
  }
  EXPECT_EQ(budget_->used_bytes(), 0U);
}

// Commits, refusals, foreign commits, readers of old snapshots and late inserts in random order,
// held against the whole history of every node.
class NodeCacheOracle {
 public:
  NodeCacheOracle(uint64_t seed, size_t budget_bytes)
      : random_(seed), cache_(std::make_shared<CacheBudget>(budget_bytes)) {
    snapshots_[0] = 1;
  }

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) Step();
  }
  uint64_t hits() { return cache_.counters().hits; }
  uint64_t evictions() { return cache_.counters().evictions; }

 private:
  static constexpr uint64_t kNodes = 40;
  static constexpr size_t kMostUnpublished = 2;

  struct Group {
    uint64_t sequence = 0;
    std::vector<NodeId> nodes;
  };
  struct LateInsert {
    NodeId node;
    uint64_t at = 0;
    btree::NodeRef version;
  };
  using History = std::map<uint64_t, btree::NodeRef>;  // by the sequence they begin at

  uint64_t Below(uint64_t bound) { return random_.Next64() % bound; }
  NodeId AnyNode() { return NodeId{1 + Below(kNodes)}; }
  // Nodes with even ids are leaves.
  btree::NodeRef MakeVersion(NodeId node, uint64_t sequence) {
    if (Below(12) == 0) return nullptr;
    return node.value % 2 == 0 ? Leaf(sequence) : Inner();
  }
  btree::NodeRef TrueVersion(NodeId node, uint64_t at) {
    const History& history = histories_[node];
    auto it = history.upper_bound(at);
    return it == history.begin() ? nullptr : std::prev(it)->second;
  }

  void Step() {
    switch (Below(12)) {
      case 0:
      case 1:
        if (unpublished_.size() < kMostUnpublished) Build();
        break;
      case 2:
      case 3:
        if (!unpublished_.empty()) PublishGroup();
        break;
      case 4:
        if (Below(4) == 0) TakeBackAll();
        break;
      case 5:
        if (Below(4) == 0) AdoptForeign();
        break;
      case 6:
        Snapshots();
        break;
      case 7:
        ReadNewest();
        break;
      case 8:
        InsertLate();
        break;
      default:
        Read();
        break;
    }
  }

  void Build() {
    Group group;
    group.sequence = ++built_;
    for (uint64_t i = 0; i <= Below(4); ++i) {
      const NodeId node = AnyNode();
      if (histories_[node].contains(group.sequence)) continue;
      group.nodes.push_back(node);
      const btree::NodeRef version = MakeVersion(node, group.sequence);
      histories_[node][group.sequence] = version;
      cache_.Install(kTree, node, Sequence{group.sequence}, version);
    }
    unpublished_.push_back(std::move(group));
  }

  void Publish(uint64_t sequence) {
    if (--snapshots_[published_] == 0) snapshots_.erase(published_);
    published_ = sequence;
    ++snapshots_[published_];
    cache_.Publish(Sequence{published_}, Sequence{snapshots_.begin()->first});
    if (Below(4) != 0) return;
    std::vector<Sequence> held;
    for (const auto& [at, count] : snapshots_) held.push_back(Sequence{at});
    cache_.Hold(std::move(held));
  }

  void PublishGroup() {
    Publish(unpublished_.front().sequence);
    unpublished_.pop_front();
  }

  void TakeBackAll() {
    while (!unpublished_.empty()) {
      for (const NodeId node : unpublished_.back().nodes) {
        histories_[node].erase(unpublished_.back().sequence);
        cache_.Withdraw(kTree, node, Sequence{published_});
      }
      unpublished_.pop_back();
    }
    built_ = published_;
  }

  void AdoptForeign() {
    TakeBackAll();
    built_ = published_ + 1 + Below(2);
    for (int i = 0; i < 3; ++i) {
      const NodeId node = AnyNode();
      histories_[node][built_] = MakeVersion(node, built_);
      cache_.Invalidate(kTree, node, Sequence{built_});
    }
    Publish(built_);
  }

  void Snapshots() {
    if (Below(2) == 0) {
      ++snapshots_[published_];
      held_.push_back(published_);
    } else if (!held_.empty()) {
      const size_t index = Below(held_.size());
      const uint64_t at = held_[index];
      for (const LateInsert& late : late_) {
        if (late.at == at) return;  // its reader still holds the snapshot
      }
      held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
      if (--snapshots_[at] == 0) snapshots_.erase(at);
    }
  }

  void Read() {
    const uint64_t at = held_.empty() || Below(3) == 0 ? published_ : held_[Below(held_.size())];
    const NodeId node = AnyNode();
    const btree::NodeRef truth = TrueVersion(node, at);
    btree::NodeRef version;
    if (cache_.Find(kTree, node, Sequence{at}, &version)) {
      EXPECT_EQ(version, truth) << "node " << node.value << " at " << at << ", published "
                                << published_;
    } else if (at != published_ && Below(2) == 0) {
      late_.push_back({node, at, truth});
    } else {
      cache_.Insert(kTree, node, Sequence{at}, truth);
    }
  }

  void InsertLate() {
    if (late_.empty()) return;
    cache_.Insert(kTree, late_.front().node, Sequence{late_.front().at}, late_.front().version);
    late_.pop_front();
  }

  // What the committer does.
  void ReadNewest() {
    const NodeId node = AnyNode();
    btree::NodeRef version;
    if (cache_.FindNewest(kTree, node, &version)) {
      EXPECT_EQ(version, TrueVersion(node, UINT64_MAX)) << "node " << node.value;
      return;
    }
    const History& history = histories_[node];
    EXPECT_TRUE(history.empty() || history.rbegin()->first <= published_)
        << "node " << node.value << ": a version that storage does not have was forgotten";
    cache_.Insert(kTree, node, Sequence{published_}, TrueVersion(node, published_));
  }

  base::SeededRandom random_;
  NodeCache cache_;
  std::map<NodeId, History> histories_;
  std::map<uint64_t, int> snapshots_;  // live ones, with how many hold them
  std::vector<uint64_t> held_;
  std::deque<Group> unpublished_;
  std::deque<LateInsert> late_;
  uint64_t published_ = 0;
  uint64_t built_ = 0;
};

TEST(NodeCacheOracleTest, EverySnapshotSeesWhatTheHistorySays) {
  const uint64_t seed = TestSeed(11);
  for (uint64_t i = 0; i < 40 && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("SOP_SEED={}", seed + i));
    // A few versions, so that nearly everything is evicted nearly at once; and room for most.
    const bool is_small = i % 2 == 0;
    NodeCacheOracle oracle(seed + i, is_small ? 4'000 : 24'000);
    oracle.Run(5000);
    EXPECT_GT(oracle.hits(), 100U);
    EXPECT_GT(oracle.evictions(), is_small ? 100U : 0U);
  }
}

}  // namespace
}  // namespace sop::txn
