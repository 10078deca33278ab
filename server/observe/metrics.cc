#include "server/observe/metrics.h"

#include "core/base/check.h"
#include "prometheus/text_serializer.h"

namespace sop::observe {
namespace {

const prometheus::Histogram::BucketBoundaries& SecondsBuckets() {
  static const auto& buckets = *new prometheus::Histogram::BucketBoundaries{
      0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
      0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10,   60};
  return buckets;
}

prometheus::Family<prometheus::Counter>& CounterFamily(prometheus::Registry& registry,
                                                       const std::string& name,
                                                       const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Gauge>& GaugeFamily(prometheus::Registry& registry,
                                                   const std::string& name,
                                                   const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

// Prometheus' names for codes are ours: those of gRPC.
std::string CodeName(absl::StatusCode code) { return absl::StatusCodeToString(code); }

}  // namespace

void MethodMetrics::Finished(const Call& call) {
  ForCode(call.code).Increment();
  seconds_->Observe(absl::ToDoubleSeconds(call.took));
  request_bytes_->Increment(static_cast<double>(call.request_bytes));
  response_bytes_->Increment(static_cast<double>(call.response_bytes));
}

prometheus::Counter& MethodMetrics::ForCode(absl::StatusCode code) {
  const auto index = static_cast<size_t>(code);
  SOP_CHECK(index < kCodes);
  prometheus::Counter* counter = codes_[index].load(std::memory_order_acquire);
  if (counter == nullptr) {
    // Add gives the same counter to whoever asks for the same labels.
    counter = &calls_->Add({{"method", method_}, {"code", CodeName(code)}});
    codes_[index].store(counter, std::memory_order_release);
  }
  return *counter;
}

Metrics::Metrics() : registry_(std::make_shared<prometheus::Registry>()) {
  prometheus::Registry& r = *registry_;
  calls_ = &CounterFamily(r, "sop_requests_total", "Finished calls by method and status code.");
  seconds_ = &prometheus::BuildHistogram()
                  .Name("sop_request_seconds")
                  .Help("Time from arrival to answer.")
                  .Register(r);
  request_bytes_ = &CounterFamily(r, "sop_request_bytes_total", "Bytes of request messages.");
  response_bytes_ = &CounterFamily(r, "sop_response_bytes_total", "Bytes of response messages.");
  database_operations_ =
      &CounterFamily(r, "sop_database_operations_total", "Operations, nested ones included.");
  database_bytes_ =
      &CounterFamily(r, "sop_database_bytes_total", "Bytes of requests and responses.");
  database_transactions_ =
      &GaugeFamily(r, "sop_database_open_transactions", "Transactions that clients hold open.");
  database_disk_ = &GaugeFamily(r, "sop_database_disk_bytes", "Bytes of the database's files.");
  requests_in_flight_ = &GaugeFamily(r, "sop_requests_in_flight", "Calls being worked on.").Add({});
  open_databases_ = &GaugeFamily(r, "sop_open_databases", "Databases held open.").Add({});
  expired_transactions_ = &CounterFamily(r, "sop_expired_transactions_total",
                                         "Transactions ended by idle limit or duration.")
                               .Add({});
  slow_operations_ =
      &CounterFamily(r, "sop_slow_operations_total", "Operations that the slow log has.").Add({});
  conflicts_ = &CounterFamily(r, "sop_conflicts_total", "Transactions that lost, by store.");
}

MethodMetrics& Metrics::ForMethod(std::string_view method) {
  base::MutexLock lock(mu_);
  auto& slot = methods_[std::string(method)];
  if (slot == nullptr) {
    slot = std::make_unique<MethodMetrics>();
    const prometheus::Labels labels = {{"method", std::string(method)}};
    slot->method_ = std::string(method);
    slot->calls_ = calls_;
    slot->seconds_ = &seconds_->Add(labels, SecondsBuckets());
    slot->request_bytes_ = &request_bytes_->Add(labels);
    slot->response_bytes_ = &response_bytes_->Add(labels);
  }
  return *slot;
}

DatabaseMetrics Metrics::ForDatabase(std::string_view database) {
  base::MutexLock lock(mu_);
  DatabaseMetrics& metrics = databases_[std::string(database)];
  if (metrics.operations == nullptr) {
    const prometheus::Labels labels = {{"database", std::string(database)}};
    metrics.operations = &database_operations_->Add(labels);
    metrics.bytes = &database_bytes_->Add(labels);
    metrics.open_transactions = &database_transactions_->Add(labels);
    metrics.disk_bytes = &database_disk_->Add(labels);
  }
  return metrics;
}

void Metrics::ForgetDatabase(std::string_view database) {
  base::MutexLock lock(mu_);
  const auto found = databases_.find(database);
  if (found == databases_.end()) return;
  database_operations_->Remove(found->second.operations);
  database_bytes_->Remove(found->second.bytes);
  database_transactions_->Remove(found->second.open_transactions);
  database_disk_->Remove(found->second.disk_bytes);
  databases_.erase(found);
  const auto stores = conflicts_by_store_.find(database);
  if (stores == conflicts_by_store_.end()) return;
  for (const auto& counter : stores->second) conflicts_->Remove(counter.second);
  conflicts_by_store_.erase(stores);
}

void Metrics::CountConflict(std::string_view database, std::string_view store) {
  constexpr size_t kMostStores = 100;
  base::MutexLock lock(mu_);
  auto& stores = conflicts_by_store_[std::string(database)];
  if (stores.size() >= kMostStores && !stores.contains(store)) store = "(other)";
  prometheus::Counter*& counter = stores[std::string(store)];
  if (counter == nullptr) {
    counter =
        &conflicts_->Add({{"database", std::string(database)}, {"store", std::string(store)}});
  }
  counter->Increment();
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  if (collector_ != nullptr) collector_(&families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace sop::observe
