#include "server/http/http_face.h"

#include <cstdlib>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "fmt/format.h"
#include "httplib.h"

namespace sop::http {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kMaxBodyBytes = 1 << 16;

}  // namespace

HttpFace::HttpFace() : server_(std::make_unique<httplib::Server>()) {}

absl::StatusOr<std::unique_ptr<HttpFace>> HttpFace::Open(Options options) {
  auto face = std::unique_ptr<HttpFace>(new HttpFace);
  httplib::Server& server = *face->server_;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_payload_max_length(kMaxBodyBytes);
  // Not SO_REUSEPORT, the library's default: two servers would share the port without a word.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.Get("/metrics", [metrics = std::move(options.metrics)](const httplib::Request&,
                                                                httplib::Response& response) {
    response.set_content(metrics(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get("/healthz", [healthy = std::move(options.healthy)](const httplib::Request&,
                                                                httplib::Response& response) {
    const bool ok = healthy();
    response.status = ok ? 200 : 503;
    response.set_content(ok ? "ok\n" : "draining\n", "text/plain; charset=utf-8");
  });

  const size_t colon = options.address.rfind(':');
  std::string host = options.address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const int port = std::atoi(options.address.c_str() + colon + 1);  // NOLINT: checked by config
  if (port == 0) {
    face->port_ = server.bind_to_any_port(host);
  } else {
    face->port_ = server.bind_to_port(host, port) ? port : -1;
  }
  if (face->port_ < 0) {
    return Error(Reason::kUnavailable,
                 fmt::format("cannot listen on {} (http): is another server running?",
                             base::Printable(options.address)));
  }
  face->thread_ = std::thread([&server] { server.listen_after_bind(); });
  // Otherwise a stop() that comes before the accept loop would be lost.
  while (!server.is_running()) std::this_thread::yield();
  return face;
}

HttpFace::~HttpFace() {
  server_->stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace sop::http
