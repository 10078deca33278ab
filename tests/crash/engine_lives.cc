#include "tests/crash/engine_lives.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <new>
#include <thread>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/file_system.h"

namespace sop::crash {
namespace {

constexpr std::chrono::seconds kLongestWait{60};

}  // namespace

uint64_t NumberFrom(const char* variable, uint64_t ours) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? ours : std::strtoull(given, nullptr, 10);
}

EngineLives::EngineLives(uint64_t seed, std::string_view name) : seed_(seed) {
  for (uint64_t& number : expectation_.next_number) number = 1;
  options_.seed = seed_;
  // SIGKILL leaves the page cache alone: memory is as good as a disk, and its syncs are free.
  const bool has_memory = ::access("/dev/shm", W_OK) == 0;
  const std::string folder =
      has_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string();
  options_.path = fmt::format("{}/sop_{}_{}", folder, name, ::getpid());
  void* const shared = ::mmap(nullptr, sizeof(LifeRecord), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  SOP_CHECK(shared != MAP_FAILED);
  record_ = static_cast<LifeRecord*>(shared);
}

EngineLives::~EngineLives() {
  base::SystemFileSystem().RemoveRecursively(options_.path).IgnoreError();
  ::munmap(record_, sizeof(LifeRecord));
}

std::string EngineLives::LiveOnce(const Kill& kill) {
  new (record_) LifeRecord;
  options_.life = kill.life;
  options_.close_after_ms = kill.close_after_ms;
  options_.die_at = kill.die_at;
  options_.die_at_passage = kill.die_at_passage;
  const pid_t child = ::fork();
  if (child == 0) Live(options_, expectation_, record_);
  if (child < 0) return "fork failed";
  std::string wrong;
  if (kill.die_at.has_value()) {
    wrong = WaitForDeath(child);
  } else {
    if (!kill.early) wrong = WaitUntilServing();
    std::this_thread::sleep_for(kill.after);
    ::kill(child, SIGKILL);
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return "waitpid failed";
    if (!WIFSIGNALED(status)) wrong = fmt::format("ended by itself: {}", status);
  }
  if (record_->failed) return record_->failure;
  if (wrong.empty() && record_->serving) TakeOver();
  return wrong;
}

std::string EngineLives::WaitForDeath(pid_t child) const {
  const auto end = std::chrono::steady_clock::now() + kLongestWait;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= end) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return "the fail point was never reached";
    }
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return {};
  return fmt::format("ended by itself: {}", status);
}

std::string EngineLives::WaitUntilServing() const {
  const auto end = std::chrono::steady_clock::now() + kLongestWait;
  while (!record_->serving && !record_->failed && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  return record_->serving ? std::string() : "not serving in time";
}

// What a life that was killed has settled and done becomes part of the expectation.
void EngineLives::TakeOver() {
  ++counts_.served;
  counts_.snapshots += record_->snapshots_checked;
  counts_.closings += record_->closings;
  for (int thread = 0; thread < kThreads; ++thread) {
    const auto index = static_cast<size_t>(thread);
    auto& pending = expectation_.pending[index];
    if (pending.has_value()) ++counts_.pending;
    if (pending.has_value() && record_->was_applied[index]) {
      ++counts_.pending_applied;
      Apply(thread, pending->number);
    }
    pending.reset();
    TakeOverThread(thread, record_->threads[index]);
  }
}

void EngineLives::TakeOverThread(int thread, const LifeRecord::Thread& done) {
  const auto index = static_cast<size_t>(thread);
  uint64_t& next = expectation_.next_number[index];
  for (const auto& outcome : done.outcomes) {
    if (outcome == Outcome::kNone) break;
    const uint64_t number = next++;
    if (outcome == Outcome::kAcknowledged) {
      ++counts_.acknowledged;
      Apply(thread, number);
    } else if (outcome == Outcome::kRefused) {
      ++counts_.refused;
    } else {
      expectation_.pending[index] = {number, done.tried.Get()};
    }
  }
  const Uuid token = done.acknowledged.Get();
  if (!token.IsZero()) expectation_.acknowledged_token[index] = token;
}

void EngineLives::Apply(int thread, uint64_t number) {
  const Plan plan = MakePlan(seed_, thread, number);
  crash::Apply(plan, &expectation_.threads[static_cast<size_t>(thread)]);
  crash::Apply(plan, &expectation_.totals);
}

}  // namespace sop::crash
