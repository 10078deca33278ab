#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/base/string_map.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/metric_family.h"
#include "prometheus/registry.h"

namespace sop::observe {

// Counts one rpc method. Thread-safe.
class MethodMetrics {
 public:
  // What Finished is told of one call.
  struct Call {
    absl::StatusCode code = absl::StatusCode::kOk;
    absl::Duration took;
    int64_t request_bytes = 0;
    int64_t response_bytes = 0;
  };
  void Finished(const Call& call);

 private:
  friend class Metrics;
  static constexpr size_t kCodes = 17;

  // Made when a code is first seen: most methods never see most codes.
  prometheus::Counter& ForCode(absl::StatusCode code);

  // Constant after construction.
  std::string method_;
  prometheus::Family<prometheus::Counter>* calls_ = nullptr;
  prometheus::Histogram* seconds_ = nullptr;
  prometheus::Counter* request_bytes_ = nullptr;
  prometheus::Counter* response_bytes_ = nullptr;
  // The release store in ForCode pairs with its acquire load.
  std::array<std::atomic<prometheus::Counter*>, kCodes> codes_ = {};
};

// Counts one database. Thread-safe.
struct DatabaseMetrics {
  prometheus::Counter* operations = nullptr;
  prometheus::Counter* bytes = nullptr;
  prometheus::Gauge* open_transactions = nullptr;
  prometheus::Gauge* disk_bytes = nullptr;
};

// All metrics of the server, as /metrics shows them. What it hands out lives as long as it does.
// Thread-safe.
class Metrics {
 public:
  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same object for the same method ("sop.v1.BtreeService/Get").
  MethodMetrics& ForMethod(std::string_view method) SOP_EXCLUDES(mu_);
  DatabaseMetrics ForDatabase(std::string_view database) SOP_EXCLUDES(mu_);
  // No longer shows the database. REQUIRES: nobody uses what ForDatabase gave for it.
  void ForgetDatabase(std::string_view database) SOP_EXCLUDES(mu_);

  prometheus::Gauge& requests_in_flight() { return *requests_in_flight_; }
  prometheus::Gauge& open_databases() { return *open_databases_; }
  prometheus::Counter& expired_transactions() { return *expired_transactions_; }

  // A transaction lost against another one in that store. Beyond a hundred stores of a database
  // they are counted as store "(other)".
  void CountConflict(std::string_view database, std::string_view store) SOP_EXCLUDES(mu_);
  prometheus::Counter& slow_operations() { return *slow_operations_; }

  // Adds to every Text what it appends. Call before the first Text.
  using Collector = std::function<void(std::vector<prometheus::MetricFamily>* families)>;
  void SetCollector(Collector collector) { collector_ = std::move(collector); }

  // Everything in Prometheus' text format.
  std::string Text() const;

 private:
  // Constant after construction; synchronise themselves.
  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>* calls_;
  prometheus::Family<prometheus::Histogram>* seconds_;
  prometheus::Family<prometheus::Counter>* request_bytes_;
  prometheus::Family<prometheus::Counter>* response_bytes_;
  prometheus::Family<prometheus::Counter>* database_operations_;
  prometheus::Family<prometheus::Counter>* database_bytes_;
  prometheus::Family<prometheus::Gauge>* database_transactions_;
  prometheus::Family<prometheus::Gauge>* database_disk_;
  prometheus::Gauge* requests_in_flight_;
  prometheus::Gauge* open_databases_;
  prometheus::Counter* expired_transactions_;
  prometheus::Counter* slow_operations_;
  prometheus::Family<prometheus::Counter>* conflicts_;
  Collector collector_;

  base::Mutex mu_;
  base::StringMap<std::unique_ptr<MethodMetrics>> methods_ SOP_GUARDED_BY(mu_);
  base::StringMap<DatabaseMetrics> databases_ SOP_GUARDED_BY(mu_);
  // By database and store.
  base::StringMap<base::StringMap<prometheus::Counter*>> conflicts_by_store_ SOP_GUARDED_BY(mu_);
};

}  // namespace sop::observe
