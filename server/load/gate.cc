#include "server/load/gate.h"

#include <iterator>

namespace sop::load {

bool Gate::FitsLocked(int64_t weight) const {
  return in_.empty() || weight_ + weight <= options_.capacity;
}

void Gate::LetInLocked(Visitors& from) {
  Visitor& visitor = *from.front();
  in_.splice(in_.end(), from, from.begin());
  visitor.place_ = std::prev(in_.end());
  visitor.is_in_ = true;
  weight_ += visitor.weight_;
}

std::vector<Gate::Visitor*> Gate::LetInAllLocked() {
  std::vector<Visitor*> let_in;
  while (!waiting_.empty() && FitsLocked(waiting_.front()->weight_)) {
    let_in.push_back(waiting_.front());
    LetInLocked(waiting_);
  }
  return let_in;
}

Gate::Entry Gate::Enter(Visitor& visitor, int64_t weight) {
  base::MutexLock lock(mu_);
  visitor.weight_ = weight;
  if (waiting_.empty() && FitsLocked(weight)) {
    Visitors alone = {&visitor};
    LetInLocked(alone);
    return Entry::kIn;
  }
  if (waiting_.size() >= options_.waiting) return Entry::kTurnedAway;
  visitor.place_ = waiting_.insert(waiting_.end(), &visitor);
  visitor.is_in_ = false;
  return Entry::kWaits;
}

void Gate::Leave(Visitor& visitor) {
  std::vector<Visitor*> let_in;
  {
    base::MutexLock lock(mu_);
    (visitor.is_in_ ? in_ : waiting_).erase(visitor.place_);
    if (visitor.is_in_) weight_ -= visitor.weight_;
    let_in = LetInAllLocked();
  }
  for (Visitor* const next : let_in) next->Go();
}

}  // namespace sop::load
