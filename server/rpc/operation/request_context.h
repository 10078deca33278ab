#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/txn/commit/commit_stages.h"

namespace sop::session {
struct OpenDatabase;
}  // namespace sop::session

namespace sop::load {
class Admitted;
}  // namespace sop::load

namespace sop::rpc {

struct IncomingValue;
struct Method;

// Who asks for what and how long they wait: made once per call by the dispatcher, handed to
// everything the call does. Cancel may be called at any time; the rest belongs to whoever runs the
// call. Thread-compatible.
class RequestContext {
 public:
  // `clock` must outlive this. `deadline` on its monotonic time; infinite if there is none.
  RequestContext(const Method& method, base::Clock& clock, absl::Duration deadline)
      : method_(method), clock_(clock), arrived_(clock.Monotonic()), deadline_(deadline) {}

  const Method& method() const { return method_; }
  absl::Duration deadline() const { return deadline_; }
  absl::Duration age() const { return clock_.Monotonic() - arrived_; }

  // Somebody authenticated; empty while nobody is.
  std::string principal;
  // As the request names them; empty if it names none.
  std::string database;
  std::string store;
  // In a stream, the transaction that the request is part of; zero elsewhere.
  TransactionId transaction;
  // Keys, items or operations that the request has.
  int64_t keys = 0;
  // As the request has it, for the log; empty if it has none.
  std::string request_id;
  // Of the last commit made for the call.
  txn::CommitTimes commit_times = {};
  // 32 hexadecimal digits of the caller's `traceparent`, or empty.
  std::string trace_id;
  // The database that the call's bytes are counted for, once it is known. Shared because the answer
  // is measured after the work is done.
  std::shared_ptr<session::OpenDatabase> counted;
  // The call's place, which has the memory of its answer.
  load::Admitted* place = nullptr;
  // Of PutValue: what was received before its write is run. Null elsewhere.
  const IncomingValue* incoming = nullptr;
  // What an answer may still hold, in bytes.
  int64_t response_budget_bytes = 4 << 20;

  // The caller is gone: work that has not been committed should stop.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  // Makes Cancel of the stream count for this request of it, too. `flag` must outlive this.
  void CancelWith(const std::atomic<bool>& flag) { stream_cancelled_ = &flag; }
  // CANCELLED or DEADLINE_EXCEEDED when nobody waits for the answer any more.
  absl::Status CheckWanted() const;

 private:
  const Method& method_;
  base::Clock& clock_;
  const absl::Duration arrived_;
  const absl::Duration deadline_;
  std::atomic<bool> cancelled_ = false;
  const std::atomic<bool>* stream_cancelled_ = nullptr;
};

}  // namespace sop::rpc
