#pragma once

#include <functional>
#include <list>

#include "core/base/mutex.h"

namespace sop::cli {

// What the user's Ctrl-C ends: the calls that are under way, and every later one until it is over.
// Thread-safe.
class Interruption {
 public:
  // Registers `cancel` while a call is under way: it is called, from any thread, when the calls are
  // to end, also if that was so already. Without an interruption it does nothing.
  class Scope {
   public:
    Scope(Interruption* interruption, std::function<void()> cancel);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Interruption* const interruption_;
    std::list<std::function<void()>>::iterator place_;
  };

  void Interrupt();
  // Calls may be made again.
  void Clear();
  bool interrupted() const;

 private:
  mutable base::Mutex mu_;
  bool interrupted_ SOP_GUARDED_BY(mu_) = false;
  std::list<std::function<void()>> calls_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::cli
