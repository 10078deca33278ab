#include "clients/cli/session/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "absl/time/clock.h"
#include "clients/cli/session/failure.h"
#include "core/base/error.h"

namespace sop::cli {

namespace {

constexpr absl::Duration kProgressInterval = absl::Milliseconds(200);

}  // namespace

void Terminal::PrintLine(std::string_view line) {
  PrintBytes(line);
  PrintBytes("\n");
}

void Terminal::PrintJson(const Json& json) {
  if (form_ != OutputForm::kTable) {
    PrintLine(JsonText(json));
    return;
  }
  table_.Add(json);
  if (table_.full()) {
    PrintTable();
  }
}

void Terminal::PrintTable() {
  if (!table_.empty()) {
    const std::string lines = table_.Take();
    open_ = open_ && std::fwrite(lines.data(), 1, lines.size(), stdout) == lines.size();
  }
}

void Terminal::PrintBytes(std::string_view bytes) {
  PrintTable();
  open_ = open_ && std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
}

void Terminal::Note(std::string_view message) {
  PrintTable();
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", message);
}

absl::StatusOr<bool> Terminal::Confirm(std::string_view question) {
  if (assume_yes_) {
    return true;
  }
  if (isatty(STDIN_FILENO) == 0) {
    return UsageError(fmt::format("{} There is nobody to ask: --yes agrees", question));
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

absl::Status Terminal::Flush() {
  PrintTable();
  open_ = std::fflush(stdout) == 0 && open_;
  return open_ ? absl::OkStatus() : Error(Reason::kUnavailable, "stdout takes no more");
}

ProgressLine::ProgressLine(std::string_view what, uint64_t total)
    : what_(what), total_(total), visible_(isatty(STDERR_FILENO) != 0), start_(absl::Now()) {}

ProgressLine::~ProgressLine() {
  if (visible_ && shown_at_ != absl::InfinitePast()) {
    fmt::print(stderr, "\r\x1b[K");
  }
}

void ProgressLine::Update(uint64_t done) {
  const absl::Time now = absl::Now();
  if (!visible_ || now - shown_at_ < kProgressInterval) {
    return;
  }
  shown_at_ = now;
  constexpr int kWidth = 30;
  if (total_ == 0) {
    fmt::print(stderr, "\r\x1b[K{} {}", WithCommas(done), what_);
    return;
  }
  const double share = static_cast<double>(done) / static_cast<double>(total_);
  const int filled = static_cast<int>(share * kWidth);
  fmt::print(stderr, "\r\x1b[K[{:=<{}}{: <{}}] {:.0f} %  {} of {} {}", "", filled, "",
             kWidth - filled, share * 100, WithCommas(done), WithCommas(total_), what_);
}

absl::Duration ProgressLine::elapsed() const { return absl::Now() - start_; }

std::string WithCommas(uint64_t number) {
  std::string digits = fmt::format("{}", number);
  for (size_t place = digits.size(); place > 3; place -= 3) {
    digits.insert(place - 3, ",");
  }
  return digits;
}

std::string RateText(uint64_t items, absl::Duration elapsed) {
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-6);
  return fmt::format("{} items in {:.2f} s, {} items/s", WithCommas(items), seconds,
                     WithCommas(static_cast<uint64_t>(static_cast<double>(items) / seconds)));
}

}  // namespace sop::cli
