#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "clients/cli/commands.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

struct PingFlags {
  int count = 1;
};

absl::StatusOr<v1::EchoResponse> Echo(Session& session, const std::string& payload) {
  v1::EchoRequest request;
  request.set_payload(payload);
  return session.connection().Call(session.connection().admin(), &v1::AdminService::Stub::Echo,
                                   request);
}

double Microseconds(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

absl::Status Ping(Session& session, const PingFlags& flags) {
  std::vector<absl::Duration> times;
  for (int i = 0; i < flags.count; ++i) {
    const absl::Time start = absl::Now();
    SOP_RETURN_IF_ERROR(Echo(session, "ping").status());
    times.push_back(absl::Now() - start);
  }
  std::sort(times.begin(), times.end());
  const double least = Microseconds(times.front());
  const double median = Microseconds(times[times.size() / 2]);
  const double most = Microseconds(times.back());
  const std::string& address = session.connection().address();
  if (session.terminal.json()) {
    session.terminal.PrintJson({{"address", address},
                                {"answers", times.size()},
                                {"microseconds_least", least},
                                {"microseconds_median", median},
                                {"microseconds_most", most}});
  } else if (flags.count == 1) {
    session.terminal.PrintLine(fmt::format("{} answers in {:.0f} us", address, median));
  } else {
    session.terminal.PrintLine(
        fmt::format("{} answers: least {:.0f} us, median {:.0f} us, most "
                    "{:.0f} us of {}",
                    address, least, median, most, times.size()));
  }
  return absl::OkStatus();
}

absl::Status PrintEcho(Session& session, const std::string& text) {
  SOP_ASSIGN_OR_RETURN(const v1::EchoResponse response, Echo(session, text));
  for (const std::string& part : response.parts()) {
    if (session.terminal.json()) {
      session.terminal.PrintJson({{"echo", part}});
    } else {
      session.terminal.PrintLine(part);
    }
  }
  return absl::OkStatus();
}

}  // namespace

void AddPingCommands(CLI::App& program, Session& session) {
  auto flags = std::make_shared<PingFlags>();
  CLI::App* ping = program.add_subcommand("ping", "Whether the server answers, and how fast");
  ping->add_option("--count", flags->count, "How often to ask")->check(CLI::Range(1, 1'000'000));
  ping->callback(
      [&session, flags] { session.action = [&session, flags] { return Ping(session, *flags); }; });

  auto text = std::make_shared<std::string>();
  CLI::App* echo = program.add_subcommand("echo", "Send a text to the server and print its answer");
  echo->add_option("TEXT", *text, "What to send")->required();
  echo->callback([&session, text] {
    session.action = [&session, text] { return PrintEcho(session, *text); };
  });
}

}  // namespace sop::cli
