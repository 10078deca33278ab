#include "server/observe/engine_metrics.h"

#include <array>
#include <functional>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "fmt/format.h"

namespace sop::observe {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using txn::Engine;

using Labels = std::vector<ClientMetric::Label>;

void Append(MetricFamily& family, Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

// Every other bound: 4 us to 16 s.
ClientMetric::Histogram HistogramOf(const base::DurationHistogram::Counts& counts) {
  ClientMetric::Histogram histogram;
  uint64_t below = 0;
  for (size_t i = 0; i < base::DurationHistogram::kBuckets; ++i) {
    below += counts.buckets[i];
    const bool last = i + 1 == base::DurationHistogram::kBuckets;
    if (!last && i % 2 == 0) continue;
    const double bound = last ? std::numeric_limits<double>::infinity()
                              : static_cast<double>(base::DurationHistogram::BoundNanos(i)) / 1e9;
    histogram.bucket.push_back({below, bound});
  }
  histogram.sample_count = below;
  histogram.sample_sum = static_cast<double>(counts.sum_nanos) / 1e9;
  return histogram;
}

struct EngineMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const Engine::Statistics& statistics);
};

constexpr std::array kEngineMetrics = {
    EngineMetric{"sop_commits_total", "Transactions committed.", MetricType::Counter,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.commits); }},
    EngineMetric{"sop_aborts_total", "Commits refused.", MetricType::Counter,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.aborts); }},
    EngineMetric{"sop_commit_groups_total", "Groups of transactions written.", MetricType::Counter,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.groups); }},
    EngineMetric{"sop_commit_queue", "Transactions that wait for the committer.", MetricType::Gauge,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.queued); }},
    EngineMetric{"sop_node_deltas_total", "Nodes written as a delta.", MetricType::Counter,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.merge_deltas); }},
    EngineMetric{"sop_node_images_total", "Nodes written whole.", MetricType::Counter,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.whole_images); }},
    EngineMetric{"sop_count_entries", "Count changes kept for folding and older snapshots.",
                 MetricType::Gauge,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.count_entries); }},
    EngineMetric{"sop_feed_bytes", "Changes kept for those who watch stores.", MetricType::Gauge,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.feed_bytes); }},
    EngineMetric{"sop_snapshots", "Snapshots held, the newest included.", MetricType::Gauge,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.snapshots); }},
    EngineMetric{
        "sop_oldest_snapshot_seconds", "Age of the oldest snapshot held.", MetricType::Gauge,
        [](const Engine::Statistics& s) { return absl::ToDoubleSeconds(s.oldest_snapshot); }},
    EngineMetric{"sop_node_cache_bytes", "Bytes of cached nodes.", MetricType::Gauge,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.cache_bytes); }},
    EngineMetric{"sop_node_cache_hits_total", "Nodes found in the cache.", MetricType::Counter,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.cache.hits); }},
    EngineMetric{"sop_node_cache_misses_total", "Nodes read from storage.", MetricType::Counter,
                 [](const Engine::Statistics& s) { return static_cast<double>(s.cache.misses); }},
    EngineMetric{
        "sop_node_cache_evictions_total", "Nodes dropped from the cache.", MetricType::Counter,
        [](const Engine::Statistics& s) { return static_cast<double>(s.cache.evictions); }},
};

// "wal_syncs_count" and what else only grows is a counter: sop_storage_wal_syncs_total.
constexpr std::array<std::string_view, 14> kStorageCounters = {
    "wal_written_bytes",        "wal_syncs_count",          "flush_written_bytes",
    "compaction_written_bytes", "compaction_read_bytes",    "blob_file_written_bytes",
    "blob_file_read_bytes",     "user_written_bytes",       "user_read_bytes",
    "block_cache_hits_count",   "block_cache_misses_count", "filter_useful_count",
    "values_read_count",        "stall_microseconds"};

MetricFamily StorageFamily(const std::string& name) {
  MetricFamily family;
  std::string_view stem = name;
  if (stem.ends_with("_count")) stem.remove_suffix(6);
  bool counter = false;
  for (const std::string_view other : kStorageCounters) counter = counter || other == name;
  family.name = fmt::format("sop_storage_{}{}", stem, counter ? "_total" : "");
  family.type = counter ? MetricType::Counter : MetricType::Gauge;
  family.help = "RocksDB's own, see docs/operations.md.";
  return family;
}

MetricFamily Family(std::string name, std::string help, MetricType type) {
  return {.name = std::move(name), .help = std::move(help), .type = type, .metric = {}};
}

}  // namespace

void AppendEngineMetrics(const std::vector<DatabaseSample>& databases,
                         std::vector<MetricFamily>* families) {
  for (const EngineMetric& metric : kEngineMetrics) {
    MetricFamily family = Family(metric.name, metric.help, metric.type);
    for (const DatabaseSample& sample : databases) {
      Append(family, {{"database", sample.database}}, metric.value(sample.engine));
    }
    families->push_back(std::move(family));
  }
  MetricFamily stages =
      Family("sop_commit_stage_seconds", "How long stages of commits take.", MetricType::Histogram);
  std::map<std::string, MetricFamily> storage;
  for (const DatabaseSample& sample : databases) {
    for (size_t i = 0; i < txn::kCommitStages; ++i) {
      ClientMetric metric;
      metric.label = {{"database", sample.database},
                      {"stage", std::string(txn::kCommitStageNames[i])}};
      metric.histogram = HistogramOf(sample.engine.stages[i]);
      stages.metric.push_back(std::move(metric));
    }
    for (const auto& value : sample.storage) {
      const auto found = storage.try_emplace(value.first, StorageFamily(value.first)).first;
      Append(found->second, {{"database", sample.database}}, static_cast<double>(value.second));
    }
  }
  families->push_back(std::move(stages));
  for (auto& entry : storage) families->push_back(std::move(entry.second));
}

void AppendProcessMetrics(const ProcessSample& process, std::vector<MetricFamily>* families) {
  MetricFamily memory =
      Family("sop_memory_bytes", "The memory budget and what takes of it.", MetricType::Gauge);
  const std::pair<const char*, int64_t> kinds[] = {
      {"limit", process.memory_limit},       {"firm", process.memory_firm},
      {"cached", process.memory_cached},     {"overhead", process.memory_overhead},
      {"resident", process.memory_resident}, {"allocated", process.memory_allocated}};
  for (const auto& kind : kinds) {
    Append(memory, {{"kind", kind.first}}, static_cast<double>(kind.second));
  }
  families->push_back(std::move(memory));
  MetricFamily streams =
      Family("sop_streams_open", "Streams that clients hold open.", MetricType::Gauge);
  Append(streams, {}, static_cast<double>(process.streams));
  families->push_back(std::move(streams));
  MetricFamily watches =
      Family("sop_watches_open", "Streams of changes that clients follow.", MetricType::Gauge);
  Append(watches, {}, static_cast<double>(process.watches));
  families->push_back(std::move(watches));
  MetricFamily refused =
      Family("sop_overloaded_total", "Requests refused as OVERLOADED.", MetricType::Counter);
  Append(refused, {{"why", "too_many"}}, static_cast<double>(process.refused_too_many));
  Append(refused, {{"why", "no_memory"}}, static_cast<double>(process.refused_no_memory));
  families->push_back(std::move(refused));
}

}  // namespace sop::observe
