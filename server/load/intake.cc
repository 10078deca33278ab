#include "server/load/intake.h"

#include <iterator>

namespace sop::load {

std::vector<Intake::Sender*> Intake::TakeLateLocked(absl::Duration now) {
  std::vector<Sender*> late;
  size_t slow = 0;
  for (auto it = receiving_.begin(); it != receiving_.end();) {
    if (now - (*it)->since_ <= options_.soon) break;
    if (++slow <= options_.slow) {
      ++it;
      continue;
    }
    late.push_back(*it);
    it = receiving_.erase(it);
  }
  if (!late.empty() && now - receiving_.front()->since_ > options_.patience) {
    late.push_back(receiving_.front());
    receiving_.pop_front();
  }
  for (Sender* const sender : late) sender->in_ = false;
  receiving_now_.store(receiving_.size(), std::memory_order_relaxed);
  return late;
}

void Intake::Enter(Sender& sender) {
  base::MutexLock lock(mu_);
  sender.place_ = receiving_.insert(receiving_.end(), &sender);
  sender.since_ = options_.clock->Monotonic();
  sender.in_ = true;
  receiving_now_.store(receiving_.size(), std::memory_order_relaxed);
}

bool Intake::Leave(Sender& sender) {
  base::MutexLock lock(mu_);
  if (!sender.in_) return false;
  sender.in_ = false;
  receiving_.erase(sender.place_);
  receiving_now_.store(receiving_.size(), std::memory_order_relaxed);
  return true;
}

void Intake::Sweep() {
  std::vector<Sender*> late;
  {
    base::MutexLock lock(mu_);
    late = TakeLateLocked(options_.clock->Monotonic());
  }
  for (Sender* const sender : late) sender->GiveUp();
}

}  // namespace sop::load
