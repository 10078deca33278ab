#include "clients/cli/shell/interrupt_watcher.h"

#include <pthread.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigwait is POSIX

namespace sop::cli {

namespace {

sigset_t InterruptSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

InterruptWatcher::InterruptWatcher(Interruption& interruption) : interruption_(interruption) {
  const sigset_t set = InterruptSignal();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { Watch(); });
}

InterruptWatcher::~InterruptWatcher() {
  ended_ = true;
  pthread_kill(thread_.native_handle(), SIGINT);
  thread_.join();
}

void InterruptWatcher::Watch() {
  const sigset_t set = InterruptSignal();
  for (int signal = 0; sigwait(&set, &signal) == 0 && !ended_;) {
    interruption_.Interrupt();
  }
}

}  // namespace sop::cli
