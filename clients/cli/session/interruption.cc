#include "clients/cli/session/interruption.h"

#include <utility>

namespace sop::cli {

Interruption::Scope::Scope(Interruption* interruption, std::function<void()> cancel)
    : interruption_(interruption) {
  if (interruption_ == nullptr) {
    return;
  }
  base::MutexLock lock(interruption_->mu_);
  if (interruption_->interrupted_) {
    cancel();
  }
  place_ = interruption_->calls_.insert(interruption_->calls_.end(), std::move(cancel));
}

Interruption::Scope::~Scope() {
  if (interruption_ != nullptr) {
    base::MutexLock lock(interruption_->mu_);
    interruption_->calls_.erase(place_);
  }
}

void Interruption::Interrupt() {
  // Called under the lock, so that no call ends, and takes what it would cancel with it, meanwhile.
  base::MutexLock lock(mu_);
  interrupted_ = true;
  for (const std::function<void()>& cancel : calls_) {
    cancel();
  }
}

void Interruption::Clear() {
  base::MutexLock lock(mu_);
  interrupted_ = false;
}

bool Interruption::interrupted() const {
  base::MutexLock lock(mu_);
  return interrupted_;
}

}  // namespace sop::cli
