#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "clients/cli/session/table.h"
#include "clients/cli/text/json.h"

namespace sop::cli {

enum class OutputForm {
  kText,   // lines for people
  kJson,   // one JSON document per line
  kTable,  // the documents as rows of a table
};

// Where the program prints: data on stdout, everything else on stderr. Confined to one thread.
class Terminal {
 public:
  // Data. A line end is added.
  void PrintLine(std::string_view line);
  // Data in a form that is not kText.
  void PrintJson(const Json& json);
  // Data as it is.
  void PrintBytes(std::string_view bytes);
  // A message.
  void Note(std::string_view message);

  // Whether the user agrees to something that cannot be undone: true if `assume_yes` was set or
  // "y" typed; a usage error where nobody can be asked.
  absl::StatusOr<bool> Confirm(std::string_view question);

  // Hands over what was printed; UNAVAILABLE if stdout takes no more.
  absl::Status Flush();
  // False once stdout takes no more: there is no use in going on.
  bool IsOpen() const { return open_; }

  void set_form(OutputForm form) { form_ = form; }
  OutputForm form() const { return form_; }
  // Data are documents, not lines.
  bool json() const { return form_ != OutputForm::kText; }
  void AssumeYes() { assume_yes_ = true; }

 private:
  void PrintTable();

  OutputForm form_ = OutputForm::kText;
  // Rows that are not printed yet.
  Table table_;
  bool assume_yes_ = false;
  bool open_ = true;
};

// A line on stderr that says how far something is, if stderr is a terminal. Confined to its owner.
class ProgressLine {
 public:
  // `what` is being counted ("items"); `total` 0 if it is not known.
  ProgressLine(std::string_view what, uint64_t total);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Update(uint64_t done);
  absl::Duration elapsed() const;

 private:
  const std::string what_;
  const uint64_t total_;
  const bool visible_;
  const absl::Time start_;
  absl::Time shown_at_ = absl::InfinitePast();
};

// "104,334"
std::string WithCommas(uint64_t number);

// "104,334 items in 0.9 s, 115,926 items/s"
std::string RateText(uint64_t items, absl::Duration elapsed);

}  // namespace sop::cli
