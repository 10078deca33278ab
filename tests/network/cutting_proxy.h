#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace sop::network {

// Where the next connection that carries a call is cut.
enum class Cut : uint8_t {
  kNever,
  // As soon as the request went on to the server.
  kAfterRequest,
  // When the server begins to answer: what it did is done, and the client does not hear of it.
  kBeforeAnswer,
};

// Stands between clients and a gRPC server on loopback, passes on what both say, and cuts the
// connection where it is told to. It reads HTTP/2 frames just enough to know a request and an
// answer. Thread-safe.
class CuttingProxy {
 public:
  // INTERNAL if no port can be listened on. `server` is HOST:PORT with a numeric host.
  static absl::StatusOr<std::unique_ptr<CuttingProxy>> Open(std::string server);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  // HOST:PORT for clients.
  const std::string& address() const { return address_; }
  // Arms the proxy for one cut.
  void CutNext(Cut cut) { armed_ = cut; }
  // How often it cut.
  int cuts() const { return cuts_.load(); }

 private:
  struct Link;

  CuttingProxy(int listener, std::string server, std::string address);

  void Serve();
  void Accept();
  // Passes on what one side said. False if the link is over.
  bool PassRequest(Link& link);
  bool PassAnswer(Link& link);
  // True if the proxy is armed for `cut`; it no longer is.
  bool Take(Cut cut) { return armed_.compare_exchange_strong(cut, Cut::kNever); }
  void CutLink(Link& link);

  // Constant after construction.
  const int listener_;
  const std::string server_;
  const std::string address_;

  std::atomic<bool> stopping_{false};
  std::atomic<Cut> armed_{Cut::kNever};
  std::atomic<int> cuts_{0};
  // Confined to the thread.
  std::vector<std::unique_ptr<Link>> links_;

  std::thread thread_;
};

}  // namespace sop::network
