#include "server/session/pipeline.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sop::session {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Place = StreamRequest::Place;
using Step = StreamRequest::Step;
using Reading = Pipeline::Reading;

TransactionId IdOf(uint64_t name) { return TransactionId{.high = 7, .low = name}; }

// What a test says of a request beside its place.
struct Script {
  bool fails = false;
  // A commit that fails, and the transaction is no more.
  bool ends = false;
  int64_t answer_bytes = 1;
};

class TestRequest : public StreamRequest {
 public:
  TestRequest(const Place& place, Script script) : StreamRequest(place), script(script) {}
  const Script script;
  absl::Status status;
};

// A stream that records what is run and sent. Answers are written when the test says so, or at
// once. Thread-safe.
class TestStream : public PipelineStream {
 public:
  explicit TestStream(const Pipeline::Limits& limits = {}) {
    pipeline = std::make_shared<Pipeline>(static_cast<PipelineStream&>(*this), workers, limits);
  }

  void Run(StreamRequest& request, const StreamTransaction& transaction, Thread) override {
    auto& asked = static_cast<TestRequest&>(request);
    {
      base::MutexLock lock(mu);
      run.push_back(request.place().id);
      transactions[request.place().id] = transaction.id;
      if (held) {
        waiting.push_back(&asked);
        return;
      }
    }
    Answer(asked);
  }
  void Refuse(StreamRequest& request, const absl::Status& why) override {
    Finish(static_cast<TestRequest&>(request), why);
  }
  void Send(std::unique_ptr<StreamRequest> request) override {
    auto* const answered = static_cast<TestRequest*>(request.release());
    {
      base::MutexLock lock(mu);
      answers[answered->place().id] = answered->status;
      unwritten.emplace_back(answered);
    }
    if (writes_at_once) WriteAll();
  }
  void Resume() override { ++resumed; }
  void End(std::vector<StreamTransaction> open) override {
    base::MutexLock lock(mu);
    for (const auto& transaction : open) left.push_back(transaction.id.low);
    std::sort(left.begin(), left.end());
    ++ended;
    changed.NotifyAll();
  }

  // What a handler would answer.
  void Answer(TestRequest& request) {
    Finish(request, request.script.fails
                        ? Error(Reason::kKeyNotFound, "no such key", {{"key", "k"}})
                        : absl::OkStatus());
  }
  void Finish(TestRequest& request, const absl::Status& status) {
    request.status = status;
    Pipeline::Result result = {.status = status, .answer_bytes = request.script.answer_bytes};
    const Step step = request.place().step;
    if (step == Step::kBegin && status.ok()) result.begun = {IdOf(request.place().id), "default"};
    if (step == Step::kRollback ||
        (step == Step::kCommit && (status.ok() || request.script.ends))) {
      result.fate = Pipeline::Result::Fate::kEnded;
    }
    const auto kept = pipeline;
    kept->Done(request, result);
  }
  void WriteAll() {
    for (;;) {
      std::unique_ptr<TestRequest> written;
      {
        base::MutexLock lock(mu);
        if (unwritten.empty()) return;
        written = std::move(unwritten.front());
        unwritten.pop_front();
      }
      pipeline->Written(*written);
    }
  }
  // Answers what was held.
  void Release() {
    std::vector<TestRequest*> released;
    {
      base::MutexLock lock(mu);
      released.swap(waiting);
    }
    for (TestRequest* request : released) Answer(*request);
  }

  Pipeline::Next Arrive(const Place& place, Script script = {}) {
    const auto next = pipeline->Arrive(std::make_unique<TestRequest>(place, script));
    if (next.run_here) pipeline->RunHere();
    return next;
  }
  // Waits until nothing is under way on the workers.
  void Settle() {
    for (int i = 0; i < 5'000; ++i) {
      {
        base::MutexLock lock(mu);
        if (answers.size() >= expected) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    FAIL() << "requests were not answered";
  }
  Reason ReasonFor(uint64_t id) {
    base::MutexLock lock(mu);
    const auto found = answers.find(id);
    return found == answers.end() ? Reason::kInternal : ReasonOf(found->second);
  }
  bool Ok(uint64_t id) {
    base::MutexLock lock(mu);
    return answers.contains(id) && answers[id].ok();
  }
  void AwaitEnd() {
    base::MutexLock lock(mu);
    while (ended == 0) changed.Wait(mu);
  }

  base::ThreadPool workers{4};
  std::shared_ptr<Pipeline> pipeline;
  bool writes_at_once = true;
  size_t expected = 0;
  std::atomic<int> resumed = 0;
  base::Mutex mu;
  base::CondVar changed;
  bool held = false;
  std::vector<uint64_t> run;
  std::map<uint64_t, TransactionId> transactions;
  std::map<uint64_t, absl::Status> answers;
  std::deque<std::unique_ptr<TestRequest>> unwritten;
  std::vector<TestRequest*> waiting;
  std::vector<uint64_t> left;
  int ended = 0;
};

Place Begin(uint64_t id) { return {.id = id, .step = Step::kBegin}; }
Place Operation(uint64_t id, uint64_t transaction) {
  return {.id = id, .transaction = transaction};
}
Place Commit(uint64_t id, uint64_t transaction) {
  return {.id = id, .transaction = transaction, .step = Step::kCommit};
}
Place Rollback(uint64_t id, uint64_t transaction) {
  return {.id = id, .transaction = transaction, .step = Step::kRollback};
}

TEST(PipelineTest, RequestsRunInTheTransactionThatTheirBeginNamed) {
  TestStream stream;
  stream.Arrive(Begin(1));
  stream.Arrive(Operation(2, 1));
  stream.Arrive(Operation(3, 0));
  stream.Arrive(Commit(4, 1));
  stream.expected = 4;
  stream.Settle();
  for (const uint64_t id : {1, 2, 3, 4}) EXPECT_TRUE(stream.Ok(id)) << id;
  EXPECT_EQ(stream.transactions[2], IdOf(1));
  EXPECT_TRUE(stream.transactions[3].IsZero());
  EXPECT_EQ(stream.transactions[4], IdOf(1));
}

TEST(PipelineTest, TransactionWaitsForItsFirstRequestAndOthersDoNot) {
  TestStream stream;
  stream.held = true;
  stream.Arrive(Begin(1));
  stream.Arrive(Operation(2, 1));
  stream.Arrive(Begin(3));
  stream.Arrive(Operation(4, 0));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  {
    base::MutexLock lock(stream.mu);
    std::sort(stream.run.begin(), stream.run.end());
    EXPECT_THAT(stream.run, ElementsAre(1, 3, 4));
    stream.held = false;
  }
  stream.Release();
  stream.expected = 4;
  stream.Settle();
  EXPECT_TRUE(stream.Ok(2));
}

TEST(PipelineTest, FailurePoisonsUntilRollback) {
  TestStream stream;
  stream.Arrive(Begin(1));
  stream.Arrive(Operation(2, 1), {.fails = true});
  stream.Arrive(Operation(3, 1));
  stream.Arrive(Commit(4, 1));
  stream.Arrive(Operation(5, 0));
  stream.Arrive(Rollback(6, 1));
  stream.Arrive(Begin(7));
  stream.expected = 7;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(2), Reason::kKeyNotFound);
  EXPECT_EQ(stream.ReasonFor(3), Reason::kTransactionPoisoned);
  EXPECT_EQ(stream.ReasonFor(4), Reason::kTransactionPoisoned);
  EXPECT_TRUE(stream.Ok(5));
  EXPECT_TRUE(stream.Ok(6));
  const absl::Status poisoned = stream.answers[4];
  EXPECT_THAT(std::string(poisoned.message()), HasSubstr("request 2 failed: no such key"));
  std::map<std::string, std::string> details;
  for (const auto& detail : DetailsOf(poisoned)) details.insert(detail);
  EXPECT_EQ(details["first_reason"], "KEY_NOT_FOUND");
  EXPECT_EQ(details["first_request"], "2");
  EXPECT_EQ(details["key"], "k");
}

TEST(PipelineTest, FailedBeginPoisonsWhatItWouldHaveBegun) {
  TestStream stream;
  stream.Arrive(Begin(1), {.fails = true});
  stream.Arrive(Operation(2, 1));
  stream.Arrive(Rollback(3, 1));
  stream.expected = 3;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(2), Reason::kTransactionPoisoned);
  EXPECT_TRUE(stream.Ok(3));
  EXPECT_TRUE(stream.transactions[3].IsZero());
}

TEST(PipelineTest, FailedCommitThatLeavesTheTransactionOpenPoisonsIt) {
  TestStream stream;
  stream.Arrive(Begin(1));
  stream.Arrive(Commit(2, 1), {.fails = true});
  stream.Arrive(Commit(3, 1));
  stream.Arrive(Begin(4));
  stream.Arrive(Commit(5, 4), {.fails = true, .ends = true});
  stream.Arrive(Operation(6, 4));
  stream.expected = 6;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(3), Reason::kTransactionPoisoned);
  // Handed to the transaction, which knows how it ended.
  EXPECT_TRUE(stream.Ok(6));
  EXPECT_EQ(stream.transactions[6], IdOf(4));
}

TEST(PipelineTest, WrongPlacesAreRefused) {
  TestStream stream({.transactions = 1});
  stream.Arrive(Operation(1, 9));
  stream.Arrive(Commit(2, 0));
  stream.Arrive({.id = 0, .step = Step::kBegin});
  stream.Arrive({.id = 3, .transaction = 3, .step = Step::kBegin});
  stream.Arrive(Begin(4));
  stream.expected = 5;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(1), Reason::kTransactionNotFound);
  EXPECT_EQ(stream.ReasonFor(2), Reason::kInvalidArgument);
  EXPECT_EQ(stream.ReasonFor(0), Reason::kInvalidArgument);
  EXPECT_EQ(stream.ReasonFor(3), Reason::kInvalidArgument);
  EXPECT_TRUE(stream.Ok(4));
  stream.Arrive(Begin(5));
  stream.expected = 6;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(5), Reason::kLimitExceeded);
  stream.Arrive(Begin(4));
  stream.Arrive(Operation(6, 4));
  stream.expected = 7;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(4), Reason::kInvalidArgument);
  // That begin was not part of the transaction that has its name.
  EXPECT_TRUE(stream.Ok(6));
}

TEST(PipelineTest, SoManyTransactionsAreOpen) {
  TestStream stream({.transactions = 3});
  for (const uint64_t id : {1, 2, 3, 4}) stream.Arrive(Begin(id));
  stream.expected = 4;
  stream.Settle();
  EXPECT_TRUE(stream.Ok(2));
  EXPECT_TRUE(stream.Ok(3));
  EXPECT_EQ(stream.ReasonFor(4), Reason::kLimitExceeded);
  stream.Arrive(Commit(5, 1));
  stream.expected = 5;
  stream.Settle();
  stream.Arrive(Begin(6));
  stream.expected = 6;
  stream.Settle();
  EXPECT_TRUE(stream.Ok(6));
}

TEST(PipelineTest, SecondRequestOfAnIdFailsAndPoisons) {
  TestStream stream;
  stream.Arrive(Begin(1));
  {
    base::MutexLock lock(stream.mu);
    stream.held = true;
  }
  stream.Arrive(Operation(2, 1));
  stream.Arrive(Operation(2, 1));
  stream.Arrive(Operation(3, 1));
  {
    base::MutexLock lock(stream.mu);
    stream.held = false;
  }
  stream.Release();
  stream.expected = 3;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(2), Reason::kInvalidArgument);
  EXPECT_EQ(stream.ReasonFor(3), Reason::kTransactionPoisoned);
  stream.Arrive(Operation(2, 0));
  EXPECT_TRUE(stream.Ok(2));
}

TEST(PipelineTest, ReaderPausesAtTheLimitsAndResumesBelowThem) {
  TestStream stream({.requests = 4, .request_bytes = 100});
  stream.writes_at_once = false;
  EXPECT_EQ(stream.Arrive(Operation(1, 0)).reading, Reading::kContinue);
  EXPECT_EQ(stream.Arrive(Operation(2, 0)).reading, Reading::kContinue);
  EXPECT_EQ(stream.Arrive(Operation(3, 0)).reading, Reading::kContinue);
  EXPECT_EQ(stream.Arrive(Operation(4, 0)).reading, Reading::kPause);
  stream.expected = 4;
  stream.Settle();
  EXPECT_EQ(stream.resumed, 0);
  stream.WriteAll();
  EXPECT_EQ(stream.resumed, 1);
  EXPECT_EQ(stream.Arrive({.id = 5, .size_bytes = 100}).reading, Reading::kPause);
  stream.expected = 5;
  stream.Settle();
  stream.WriteAll();
  EXPECT_EQ(stream.resumed, 2);
}

TEST(PipelineTest, NothingIsBegunWhileAnswersPileUp) {
  TestStream stream({.answer_bytes = 10, .threads = 1});
  stream.writes_at_once = false;
  for (uint64_t id = 1; id <= 4; ++id) stream.Arrive(Operation(id, 0), {.answer_bytes = 6});
  stream.expected = 2;
  stream.Settle();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  {
    base::MutexLock lock(stream.mu);
    EXPECT_EQ(stream.run.size(), 2u);
  }
  stream.WriteAll();
  stream.expected = 4;
  stream.Settle();
  EXPECT_TRUE(stream.Ok(4));
}

TEST(PipelineTest, CloseEndsWhenAllIsWrittenAndNamesWhatIsOpen) {
  TestStream stream;
  stream.Arrive(Begin(1));
  stream.Arrive(Begin(2));
  stream.Arrive(Begin(3));
  stream.Arrive(Rollback(4, 2));
  stream.expected = 4;
  stream.Settle();
  stream.held = true;
  stream.Arrive(Operation(5, 3));
  stream.pipeline->Close();
  EXPECT_EQ(stream.ended, 0);
  stream.Release();
  EXPECT_EQ(stream.ended, 1);
  EXPECT_THAT(stream.left, ElementsAre(1, 3));
  EXPECT_EQ(stream.Arrive(Operation(6, 0)).reading, Reading::kPause);
  EXPECT_FALSE(stream.Ok(6));
}

TEST(PipelineTest, DrainWaitsForOpenTransactionsAndTakesNoOthers) {
  TestStream stream;
  stream.Arrive(Begin(1));
  stream.pipeline->Drain();
  EXPECT_EQ(stream.ended, 0);
  stream.Arrive(Begin(2));
  stream.Arrive(Operation(3, 0));
  stream.Arrive(Operation(4, 1));
  stream.expected = 4;
  stream.Settle();
  EXPECT_EQ(stream.ReasonFor(2), Reason::kUnavailable);
  EXPECT_EQ(stream.ReasonFor(3), Reason::kUnavailable);
  EXPECT_TRUE(stream.Ok(4));
  EXPECT_EQ(stream.ended, 0);
  stream.Arrive(Commit(5, 1));
  stream.AwaitEnd();
  EXPECT_THAT(stream.left, IsEmpty());

  TestStream idle;
  idle.pipeline->Drain();
  EXPECT_EQ(idle.ended, 1);
}

// Holds every answer for a while and gives it from another thread; checks invariant 1 by itself.
class RandomStream : public TestStream {
 public:
  RandomStream() : TestStream({.requests = 50, .threads = 3}) {}
  void Run(StreamRequest& request, const StreamTransaction& transaction, Thread thread) override {
    const uint64_t name = request.place().transaction;
    {
      base::MutexLock lock(order_mu);
      if (name != 0) {
        EXPECT_TRUE(busy.insert(name).second) << "two requests of transaction " << name;
        EXPECT_GT(request.place().id, last[name]) << "transaction " << name;
        last[name] = request.place().id;
        EXPECT_EQ(transaction.id, IdOf(name));
      }
    }
    answering.Schedule([this, &request, name] {
      {
        base::MutexLock lock(order_mu);
        busy.erase(name);
      }
      Answer(static_cast<TestRequest&>(request));
    });
  }
  void Resume() override {
    TestStream::Resume();
    base::MutexLock lock(mu);
    changed.NotifyAll();
  }

  base::Mutex order_mu;
  absl::flat_hash_set<uint64_t> busy;
  std::map<uint64_t, uint64_t> last;
  base::ThreadPool answering{3};
};

TEST(PipelineTest, RandomRequestsKeepTheOrderOfTheirTransactions) {
  const uint64_t seed = base::SystemRandom().Next64();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  RandomStream stream;
  std::vector<uint64_t> open;
  int paused = 0;
  constexpr uint64_t kRequests = 20'000;
  for (uint64_t id = 1; id <= kRequests; ++id) {
    const uint64_t dice = random() % 10;
    Place place = Operation(id, 0);
    if (open.size() < 8 && dice < 2) {
      place = Begin(id);
      open.push_back(id);
    } else if (!open.empty() && dice < 9) {
      const size_t which = random() % open.size();
      place = dice == 8 ? Commit(id, open[which]) : Operation(id, open[which]);
      if (dice == 8) open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
    }
    const int before = stream.resumed;
    if (stream.Arrive(place).reading == Reading::kContinue) continue;
    ++paused;
    base::MutexLock lock(stream.mu);
    while (stream.resumed == before) stream.changed.Wait(stream.mu);
  }
  stream.pipeline->Close();
  stream.AwaitEnd();
  EXPECT_EQ(stream.left, open);
  EXPECT_EQ(stream.answers.size(), kRequests);
  for (const auto& answer : stream.answers) EXPECT_TRUE(answer.second.ok()) << answer.second;
  EXPECT_GT(paused, 0);
}

}  // namespace
}  // namespace sop::session
