#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace httplib {
class Server;
}  // namespace httplib

namespace sop::http {

// Serves the HTTP port from its own threads until it is destroyed. Thread-safe.
class HttpFace {
 public:
  struct Options {
    // HOST:PORT; port 0 takes a free one.
    std::string address;
    // The body of /metrics.
    std::function<std::string()> metrics;
    // Whether /healthz says 200 "ok" or 503 "draining".
    std::function<bool()> healthy;
  };

  // Listens when it returns. UNAVAILABLE if the address cannot be had.
  static absl::StatusOr<std::unique_ptr<HttpFace>> Open(Options options);
  ~HttpFace();
  HttpFace(const HttpFace&) = delete;
  HttpFace& operator=(const HttpFace&) = delete;

  // The port that is listened on.
  int port() const { return port_; }

 private:
  HttpFace();

  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace sop::http
