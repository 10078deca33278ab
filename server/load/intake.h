#pragma once

#include <atomic>
#include <cstddef>
#include <list>
#include <vector>

#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace sop::load {

// Requests that are being received. gRPC takes whole messages into memory, as many at once as there
// are calls, before anybody knows how large they are. A small one is there when its call is; those
// that take longer are large, or their clients slow: so many of them go on, the oldest, and the
// others are given up, before they have brought much. Thread-safe.
class Intake {
 public:
  // A call whose request is being received. Confined to the intake from Enter to Leave.
  class Sender {
   public:
    virtual ~Sender() = default;
    // It is to be ended, and is out. It must see to it that Leave, which says so, finds it still
    // there. Comes without locks, on any thread.
    virtual void GiveUp() = 0;

   private:
    friend class Intake;
    bool in_ = false;
    absl::Duration since_;
    std::list<Sender*>::iterator place_;
  };

  struct Options {
    // How many may take longer than `soon`.
    size_t slow = 8;
    absl::Duration soon = absl::Milliseconds(10);
    // How long one of them may take once others are given up for it.
    absl::Duration patience = absl::Seconds(2);
    // Must outlive this.
    base::Clock* clock = nullptr;
  };
  explicit Intake(const Options& options) : options_(options) {}
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  void Enter(Sender& sender) SOP_EXCLUDES(mu_);
  // False if the sender was given up.
  bool Leave(Sender& sender) SOP_EXCLUDES(mu_);
  // Gives up those who are too many.
  void Sweep() SOP_EXCLUDES(mu_);
  // The same if there may be any, for next to nothing: to be called as often as something happens.
  void Look() {
    if (receiving_now_.load(std::memory_order_relaxed) > options_.slow) Sweep();
  }

  const Options& options() const { return options_; }

 private:
  // Takes out those who are to be given up.
  std::vector<Sender*> TakeLateLocked(absl::Duration now) SOP_REQUIRES(mu_);

  const Options options_;
  // As many as receiving_ has.
  std::atomic<size_t> receiving_now_{0};

  base::Mutex mu_;
  // Oldest first.
  std::list<Sender*> receiving_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::load
