#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <vector>

#include "core/base/mutex.h"

namespace sop::load {

// Lets in as much at once as is served soon, has a few wait in order of arrival, and turns others
// away. Thread-safe.
class Gate {
 public:
  // Confined to the gate from Enter to Leave.
  class Visitor {
   public:
    virtual ~Visitor() = default;
    // It is in. Comes without locks, on any thread, at most once after each Enter.
    virtual void Go() = 0;

   private:
    friend class Gate;
    int64_t weight_ = 0;
    bool is_in_ = false;
    std::list<Visitor*>::iterator place_;
  };

  struct Options {
    // Weight of those who are in at once; whoever is alone may weigh more.
    int64_t capacity = 8;
    // Visitors that wait.
    size_t waiting = 32;
  };
  explicit Gate(const Options& options) : options_(options) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  enum class Entry { kIn, kWaits, kTurnedAway };
  // kIn: go on; Go is not called. kWaits: Go follows. REQUIRES: the visitor is outside.
  Entry Enter(Visitor& visitor, int64_t weight) SOP_EXCLUDES(mu_);
  // Gives up its place, inside or among those who wait. REQUIRES: Enter gave it one.
  void Leave(Visitor& visitor) SOP_EXCLUDES(mu_);

  const Options& options() const { return options_; }

 private:
  using Visitors = std::list<Visitor*>;

  bool FitsLocked(int64_t weight) const SOP_REQUIRES(mu_);
  // Puts the first of `from` in.
  void LetInLocked(Visitors& from) SOP_REQUIRES(mu_);
  // Lets in who fits; they are to be told.
  std::vector<Visitor*> LetInAllLocked() SOP_REQUIRES(mu_);

  const Options options_;

  base::Mutex mu_;
  int64_t weight_ SOP_GUARDED_BY(mu_) = 0;
  // Oldest first.
  Visitors in_ SOP_GUARDED_BY(mu_);
  Visitors waiting_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::load
