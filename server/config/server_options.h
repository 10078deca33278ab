#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace sop::config {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Whether addresses other than loopback may be listened on although nobody is authenticated.
enum class Exposure { kLoopbackOnly, kAllNetworks };

// Bounds of what clients may hold and ask for; each has a typed error.
struct Limits {
  // Transactions open at once in this server. Default 10,000; range 1 to 1,000,000.
  int64_t open_transactions = 10'000;
  // Databases known at once. Default 1,024; range 1 to 100,000.
  int64_t databases = 1'024;
  // Requests being worked on at once, streams apart; more are OVERLOADED. 0, the default: 64 for
  // each processor, at least 128; range 1 to 1,000,000.
  int64_t requests_in_flight = 0;
  // Streams open at once; more are OVERLOADED. Default 10,000; range 1 to 1,000,000.
  int64_t streams = 10'000;
  // How long a transaction may stay unused unless it says otherwise. Default 60 s; range 1 ms to
  // 1 h.
  absl::Duration transaction_idle = absl::Seconds(60);
  // How long a transaction may stay open unless it says otherwise. Default 15 min; range 1 ms to
  // 1 h.
  absl::Duration transaction_duration = absl::Minutes(15);
  // How long changes of stores with a feed are kept. Default 24 h; range 1 s to 90 days.
  absl::Duration feed_age = absl::Hours(24);
  // How many bytes of them a database keeps. Default 1 GiB; range 1 MiB to 1 TiB.
  int64_t feed_bytes = int64_t{1} << 30;
};

// Everything that `sopd` can be told.
struct ServerOptions {
  // Where the database `default` and the server's own files are kept. Default "./sop-data".
  std::string home_folder = "./sop-data";
  // Address of the gRPC port, HOST:PORT. Port 0 takes a free one. Default "127.0.0.1:7373".
  std::string listen = "127.0.0.1:7373";
  // Address of the HTTP port, HOST:PORT, or "off". Default "127.0.0.1:7374".
  std::string http = "127.0.0.1:7374";
  // Folders under which clients may name database folders. Default none.
  std::vector<std::string> stores_roots;
  // Memory that the process keeps to, in bytes: caches give way, and what finds no room is
  // OVERLOADED. Default 512 MiB; at least 64 MiB.
  int64_t memory_bytes = int64_t{512} << 20;
  // Threads for long work. Default: twice the processors, at least 4; range 1 to 1,024.
  int64_t workers = 0;
  // A database that nobody used for this long is closed. Default 10 min; at least 1 s.
  absl::Duration database_idle = absl::Minutes(10);
  // How long requests in flight may take to finish after SIGTERM. Default 10 s; range 0 to 1 h.
  absl::Duration drain = absl::Seconds(10);
  // Operations that take this long are logged as slow. Default 1 s; range 0 to 1 h.
  absl::Duration slow_operation = absl::Seconds(1);
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  Exposure exposure = Exposure::kLoopbackOnly;
  Limits limits;
};

}  // namespace sop::config
