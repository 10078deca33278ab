#pragma once

#include <atomic>
#include <string_view>

namespace sop::base {

// Called with the name of every fail point that is passed, on the thread that passes it, possibly
// with locks held: it may end the process or take notes, nothing else.
using FailPointHook = void (*)(std::string_view name);

// Null in every server: nothing but a call of ArmFailPoints sets it.
inline std::atomic<FailPointHook> fail_point_hook{nullptr};

// Marks a step at which a test may end the process; one relaxed load while nothing is armed. Names
// are "<what>.<step>", such as "commit.append".
inline void FailPoint(std::string_view name) {
  // Relaxed: armed before the threads that pass are started, or a passage sooner or later.
  const FailPointHook hook = fail_point_hook.load(std::memory_order_relaxed);
  if (hook != nullptr) [[unlikely]] {
    hook(name);
  }
}

// For tests only. A null `hook` disarms.
inline void ArmFailPoints(FailPointHook hook) {
  fail_point_hook.store(hook, std::memory_order_relaxed);
}

}  // namespace sop::base
