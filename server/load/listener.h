#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

struct addrinfo;

namespace sop::load {

// Takes connections in and hands on those whose client has spoken. To gRPC every connection is
// worth some 20 KiB and a quarter of a millisecond, and it looks at new ones before it looks at
// those that have gone: a storm of clients that connect and vanish would take its memory, its files
// and its time. Here one costs some microseconds. Thread-safe.
class Listener {
 public:
  struct Options {
    // HOST:PORT; port 0 takes a free one.
    std::string address;
    // Connections that are open at once; more are closed at once.
    size_t connections = 4'096;
    // Connections whose clients have not spoken; beyond it the oldest is closed.
    size_t silent = 1'024;
    // How long a client may be silent. Not shorter than gRPC clients take: one whose calls fail at
    // once, so that nobody polls, looks at its connection every five seconds, some times before it
    // speaks.
    absl::Duration patience = absl::Seconds(30);
    // Bytes after which a client has spoken: an HTTP/2 preface and the head of its settings.
    int hello_bytes = 33;
    // Takes a connection over and closes it some day. Called on the listener's thread.
    std::function<void(int connection)> hand_over;
  };

  // Listens when it returns; connections are handed over from Start on. UNAVAILABLE if the address
  // cannot be had.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(Options options);
  // Stops.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Call once.
  void Start();
  // Closes the port and those that are silent; nothing is handed over afterwards. Idempotent.
  void Stop();

  // The port that is listened on.
  int port() const { return port_; }
  // Connections that were closed because there were too many.
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  struct Silent {
    int connection;
    absl::Time since;
  };

  explicit Listener(Options options);
  absl::Status Bind();
  bool BindTo(const addrinfo& address);
  void Run();
  void Accept(int port);
  // Looks at one that is said to have spoken or gone.
  void Look(int connection);
  void Drop(int connection);
  void DropLate(absl::Time now);
  void HandOver(int connection);
  // Whether there is room for another connection.
  bool HasRoom(absl::Time now);

  // Constant after Open.
  const Options options_;
  std::vector<int> ports_;
  int port_ = 0;
  int events_ = -1;
  int stop_ = -1;
  std::thread thread_;

  std::atomic<uint64_t> refused_{0};

  // --- Of the thread ---

  // Oldest first.
  std::list<Silent> silent_;
  absl::flat_hash_map<int, std::list<Silent>::iterator> silent_by_connection_;
  // Those that were handed over, by the files that they were; some may be closed by now.
  absl::flat_hash_map<int, uint64_t> open_;
  absl::Time counted_ = absl::InfinitePast();
};

}  // namespace sop::load
