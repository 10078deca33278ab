#include <fmt/format.h>

#include <memory>
#include <string>

#include "clients/cli/bench/list_append_run.h"
#include "clients/cli/bench/load_run.h"
#include "clients/cli/commands.h"
#include "clients/cli/text/item_json.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

constexpr char kFooter[] =
    "\nCalls of a workload: get and put (of --batch items), scan (a page of --scan-items), "
    "transaction\n"
    "(reads two items, writes both, run again while it conflicts), with weights:\n"
    "  sop bench --workload get=80,put=10,scan=5,transaction=5 --clients 64 --seconds 30\n"
    "Percentiles are of calls that succeeded; with --rate they count from when a call was due.\n"
    "--check runs transactions over lists instead and checks that what all clients saw is "
    "strictly\n"
    "serialisable; exit code 1 and the anomalies in words if it is not.\n"
    "The store is made and filled if it is not there, and removed at the end unless it was there "
    "or\n"
    "--keep is given.";

struct BenchFlags {
  std::string store = "sop-bench";
  std::string workload = "get=80,put=15,scan=3,transaction=2";
  int clients = 16;
  double seconds = 10;
  double rate = 0;
  int64_t items = 100'000;
  uint32_t value_bytes = 100;
  uint32_t batch = 1;
  uint32_t scan_items = 100;
  uint64_t seed = 1;
  bool keep = false;
  bool check = false;
  uint32_t lists = 16;
};

BenchClient::Options ClientOptions(const Session& session, const BenchFlags& flags) {
  return {.address = session.flags.address,
          .database = session.flags.database,
          .store = flags.store,
          .timeout = absl::Seconds(session.flags.timeout_seconds)};
}

double Microseconds(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

Json KindJson(CallKind kind, const CallFigures& figures, double seconds) {
  const LatencyHistogram& latency = figures.latency;
  return {{"call", NameOf(kind)},
          {"calls", latency.count()},
          {"calls_per_second", static_cast<double>(latency.count()) / seconds},
          {"items_per_second", static_cast<double>(figures.items) / seconds},
          {"p50_us", Microseconds(latency.Percentile(0.5))},
          {"p90_us", Microseconds(latency.Percentile(0.9))},
          {"p99_us", Microseconds(latency.Percentile(0.99))},
          {"p999_us", Microseconds(latency.Percentile(0.999))},
          {"most_us", Microseconds(latency.most())},
          {"repeated", figures.repeated},
          {"failures", figures.failures}};
}

void PrintText(Session& session, const Json& kinds) {
  session.terminal.PrintLine(fmt::format("{:<12}{:>11}{:>11}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}",
                                         "call", "calls", "calls/s", "items/s", "p50 us", "p90 us",
                                         "p99 us", "p99.9 us", "most us"));
  for (const Json& kind : kinds) {
    const auto number = [&kind](const char* name) { return kind[name].get<double>(); };
    session.terminal.PrintLine(
        fmt::format("{:<12}{:>11}{:>11.0f}{:>12.0f}{:>10.0f}{:>10.0f}{:>10.0f}{:>10.0f}{:>10.0f}",
                    kind["call"].get<std::string>(), kind["calls"].get<uint64_t>(),
                    number("calls_per_second"), number("items_per_second"), number("p50_us"),
                    number("p90_us"), number("p99_us"), number("p999_us"), number("most_us")));
  }
  for (const Json& kind : kinds) {
    const std::string name = kind["call"].get<std::string>();
    if (kind["repeated"] != 0) {
      session.terminal.PrintLine(
          fmt::format("{}: repeated {} times after conflicts", name, kind["repeated"].dump()));
    }
    for (const auto& [reason, times] : kind["failures"].items()) {
      session.terminal.PrintLine(fmt::format("{}: {} failed: {}", name, times.dump(), reason));
    }
  }
}

absl::Status Load(Session& session, const BenchFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const WorkloadMix mix, WorkloadMix::Parse(flags.workload));
  const LoadOptions options = {.client = ClientOptions(session, flags),
                               .mix = mix,
                               .clients = flags.clients,
                               .duration = absl::Seconds(flags.seconds),
                               .rate = flags.rate,
                               .items = flags.items,
                               .value_bytes = flags.value_bytes,
                               .batch = flags.batch,
                               .scan_items = flags.scan_items,
                               .seed = flags.seed};
  SOP_RETURN_IF_ERROR(FillStore(options));
  SOP_ASSIGN_OR_RETURN(const LoadFigures figures, RunLoad(options));
  const double seconds = absl::ToDoubleSeconds(figures.elapsed);
  Json kinds = Json::array();
  for (const CallKind kind : kCallKinds) {
    if (mix.weight(kind) == 0) continue;
    kinds.push_back(KindJson(kind, figures.kinds[static_cast<size_t>(kind)], seconds));
  }
  if (session.terminal.json()) {
    session.terminal.PrintJson({{"workload", flags.workload},
                                {"clients", flags.clients},
                                {"seconds", seconds},
                                {"rate", flags.rate},
                                {"items", flags.items},
                                {"value_bytes", flags.value_bytes},
                                {"batch", flags.batch},
                                {"kinds", kinds}});
  } else {
    PrintText(session, kinds);
  }
  return absl::OkStatus();
}

absl::Status Check(Session& session, const BenchFlags& flags) {
  SOP_ASSIGN_OR_RETURN(const ListAppendFigures figures,
                       RunListAppend({.client = ClientOptions(session, flags),
                                      .clients = flags.clients,
                                      .duration = absl::Seconds(flags.seconds),
                                      .lists = flags.lists,
                                      .seed = flags.seed}));
  if (session.terminal.json()) {
    session.terminal.PrintJson({{"clients", flags.clients},
                                {"seconds", absl::ToDoubleSeconds(figures.elapsed)},
                                {"committed", figures.committed},
                                {"refused", figures.refused},
                                {"unknown", figures.unknown},
                                {"dependencies", figures.dependencies},
                                {"strictly_serialisable", figures.anomalies.empty()},
                                {"anomalies", figures.anomalies}});
  } else {
    session.terminal.PrintLine(
        fmt::format("{} transactions committed, {} refused, {} without an answer, {} dependencies",
                    figures.committed, figures.refused, figures.unknown, figures.dependencies));
    session.terminal.PrintLine(figures.anomalies.empty() ? "strictly serialisable"
                                                         : figures.anomalies);
  }
  if (!figures.anomalies.empty()) {
    return absl::InternalError("the server showed its clients what no order of them allows");
  }
  if (figures.committed == 0)
    return absl::UnavailableError("no transaction of the check committed");
  return absl::OkStatus();
}

absl::Status Bench(Session& session, const BenchFlags& flags) {
  const absl::StatusOr<v1::Store> found = session.GetStore(flags.store);
  if (!found.ok() && !absl::IsNotFound(found.status())) return found.status();
  BenchClient client(ClientOptions(session, flags));
  if (flags.check) {
    if (found.ok()) {
      return UsageError(fmt::format("--check needs a store that is not there, not \"{}\"",
                                    PrintableLine(flags.store)));
    }
    SOP_RETURN_IF_ERROR(client.CreateStore());
  }
  absl::Status status = flags.check ? Check(session, flags) : Load(session, flags);
  if (!found.ok() && !flags.keep) {
    const absl::Status removed = client.RemoveStore();
    if (status.ok()) status = removed;
  }
  return status;
}

}  // namespace

void AddBenchCommand(CLI::App& program, Session& session) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* bench = program.add_subcommand("bench", "Put a load on the server and measure it");
  bench->footer(kFooter);
  bench->add_option("--store", flags->store, "Store that the load uses")->capture_default_str();
  bench->add_option("--workload", flags->workload, "Kinds of calls and their weights")
      ->capture_default_str();
  bench->add_option("--clients", flags->clients, "Clients at once, each with a connection")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  bench->add_option("--seconds", flags->seconds, "How long")
      ->check(CLI::Range(0.01, 86'400.0))
      ->capture_default_str();
  bench->add_option("--rate", flags->rate, "Calls per second of all clients; 0: all they manage")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  bench->add_option("--items", flags->items, "Items in the store")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  bench->add_option("--value-size", flags->value_bytes, "Bytes of a value")
      ->check(CLI::Range(0, 65'536))
      ->capture_default_str();
  bench->add_option("--batch", flags->batch, "Items of one get or put")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  bench->add_option("--scan-items", flags->scan_items, "Items of one scan")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  bench->add_option("--seed", flags->seed, "Of what is drawn at random")->capture_default_str();
  bench->add_flag("--keep", flags->keep, "Leave the store there");
  bench->add_flag("--check", flags->check, "Check that transactions are strictly serialisable");
  bench->add_option("--lists", flags->lists, "With --check: lists in use at once")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  bench->callback(
      [&session, flags] { session.action = [&session, flags] { return Bench(session, *flags); }; });
}

}  // namespace sop::cli
