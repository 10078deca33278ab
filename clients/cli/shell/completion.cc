#include "clients/cli/shell/completion.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "clients/cli/text/word_splitter.h"

namespace sop::cli {

namespace {

constexpr std::string_view kShellCommands[] = {"\\?", "\\json", "\\q", "\\table", "\\text", "\\tx"};
constexpr std::string_view kTransactionWords[] = {"begin", "commit", "rollback"};

// The text as the words that are complete and the one that is being typed.
struct Typed {
  std::vector<std::string> words;
  // Of the last word.
  size_t begin = 0;
  std::string partial;
};

// nullopt inside JSON and comments, where nothing is offered.
std::optional<Typed> Take(std::string_view text) {
  Typed typed;
  WordSplitter splitter(text);
  while (true) {
    const std::string_view before = splitter.rest();
    auto word = splitter.Next();
    const size_t blank = before.find_first_not_of(" \t\n\r\f\v");
    typed.begin = text.size() - before.size() + std::min(blank, before.size());
    const std::string_view raw = text.substr(typed.begin);
    if (!word.ok()) {
      if (raw.front() != '\'' && raw.front() != '"') {
        return std::nullopt;
      }
      typed.partial = raw.substr(1);
      return typed;
    }
    if (!word->has_value()) {
      return raw.starts_with('#') ? std::nullopt : std::optional(std::move(typed));
    }
    if (splitter.rest().empty()) {
      typed.partial = **std::move(word);
      return typed;
    }
    typed.words.push_back(**std::move(word));
  }
}

std::string Quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char byte) {
    return absl::ascii_isalnum(byte) ||
           std::string_view("_-./:,=%+@\\?").find(byte) != std::string_view::npos ||
           !absl::ascii_isascii(byte);
  });
  if (plain) {
    return word;
  }
  if (word.find('\'') == std::string::npos) {
    return "'" + word + "'";
  }
  std::string quoted = "\"";
  for (const char byte : word) {
    if (byte == '"' || byte == '\\') {
      quoted.push_back('\\');
    }
    quoted.push_back(byte);
  }
  return quoted + "\"";
}

// "TEXT:{csv,jsonl}": what CLI11 says of an option that takes one of some values.
std::vector<std::string> ChoicesOf(const CLI::Option& option) {
  std::vector<std::string> choices;
  const std::string type = option.get_type_name();
  const size_t open = type.find('{');
  const size_t close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) {
    return choices;
  }
  std::string choice;
  for (size_t i = open + 1; i <= close; ++i) {
    if (type[i] != ',' && type[i] != '}') {
      choice.push_back(type[i]);
      continue;
    }
    choices.push_back(std::exchange(choice, {}));
  }
  return choices;
}

std::vector<std::string> FilesLike(const std::string& partial) {
  const size_t slash = partial.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : partial.substr(0, slash + 1);
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder.empty() ? "." : folder, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code unknown;
    files.push_back(folder + name + (entry.is_directory(unknown) ? "/" : ""));
  }
  return files;
}

// Goes over the complete words as CLI11 would, and says what may follow.
class Walk {
 public:
  Walk(CLI::App& program, const std::function<std::vector<std::string>()>& store_names)
      : app_(&program), store_names_(store_names) {}

  void Take(const std::string& word) {
    if (std::exchange(option_, nullptr) != nullptr) {
      return;
    }
    if (word.starts_with("--")) {
      const size_t equals = word.find('=');
      CLI::Option* named = FindOption(word.substr(0, equals));
      option_ =
          named != nullptr && equals == std::string::npos && named->get_items_expected_max() > 0
              ? named
              : nullptr;
      return;
    }
    for (CLI::App* command : app_->get_subcommands([](const CLI::App*) { return true; })) {
      if (positionals_ == 0 && command->get_name() == word) {
        app_ = command;
        return;
      }
    }
    ++positionals_;
  }

  std::vector<std::string> Following(const std::string& partial) {
    if (option_ != nullptr) {
      return ValuesOf(*option_, partial);
    }
    if (partial.starts_with('-')) {
      return OptionNames();
    }
    if (!CommandNames().empty()) {
      return positionals_ == 0 ? CommandNames() : std::vector<std::string>();
    }
    const std::vector<CLI::Option*> positionals =
        app_->get_options([](const CLI::Option* option) { return option->get_positional(); });
    if (positionals.empty()) {
      return {};
    }
    const size_t place = std::min(positionals_, positionals.size() - 1);
    const bool repeated = positionals[place]->get_items_expected_max() > 1;
    return place == positionals_ || repeated ? ValuesOf(*positionals[place], partial)
                                             : std::vector<std::string>();
  }

 private:
  CLI::Option* FindOption(const std::string& name) {
    for (CLI::App* app = app_; app != nullptr; app = app->get_parent()) {
      if (CLI::Option* option = app->get_option_no_throw(name); option != nullptr) {
        return option;
      }
    }
    return nullptr;
  }

  std::vector<std::string> CommandNames() const {
    std::vector<std::string> names;
    for (const CLI::App* command : app_->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(command->get_name());
    }
    return names;
  }

  std::vector<std::string> OptionNames() const {
    std::vector<std::string> names;
    for (const CLI::App* app = app_; app != nullptr; app = app->get_parent()) {
      for (const CLI::Option* option : app->get_options()) {
        for (const std::string& name : option->get_lnames()) {
          names.push_back("--" + name);
        }
      }
    }
    return names;
  }

  std::vector<std::string> ValuesOf(const CLI::Option& option, const std::string& partial) const {
    const std::string name = option.get_name();
    const bool of_stores =
        app_->get_parent() != nullptr && app_->get_parent()->get_name() == "store";
    if (name == "STORE" || (name == "NAME" && of_stores && app_->get_name() != "create")) {
      return store_names_();
    }
    if (name == "FILE" || name.ends_with("file")) {
      return FilesLike(partial);
    }
    return ChoicesOf(option);
  }

  CLI::App* app_;
  const std::function<std::vector<std::string>()>& store_names_;
  // The option whose value comes next.
  CLI::Option* option_ = nullptr;
  size_t positionals_ = 0;
};

}  // namespace

std::string Completion::SharedStart() const {
  if (candidates.empty()) {
    return {};
  }
  // They are in order: what the first and the last begin with, all do.
  const std::string& first = candidates.front();
  const std::string& last = candidates.back();
  const auto ends = std::mismatch(first.begin(), first.end(), last.begin(), last.end());
  auto end = ends.first;
  // Never inside of a character.
  while (end != first.begin() && end != first.end() &&
         (static_cast<unsigned char>(*end) & 0xc0) == 0x80) {
    --end;
  }
  return {first.begin(), end};
}

Completion Complete(CLI::App& program, std::string_view text,
                    const std::function<std::vector<std::string>()>& store_names) {
  Completion completion;
  const std::optional<Typed> typed = Take(text);
  if (!typed) {
    return completion;
  }
  completion.begin = typed->begin;
  std::vector<std::string> possible;
  if (typed->words.empty() && typed->partial.starts_with('\\')) {
    possible.assign(std::begin(kShellCommands), std::end(kShellCommands));
  } else if (!typed->words.empty() && typed->words.front() == "\\tx") {
    possible.assign(std::begin(kTransactionWords), std::end(kTransactionWords));
  } else {
    Walk walk(program, store_names);
    for (const std::string& word : typed->words) {
      walk.Take(word);
    }
    possible = walk.Following(typed->partial);
  }
  for (const std::string& word : possible) {
    if (word.starts_with(typed->partial)) {
      completion.candidates.push_back(Quoted(word));
    }
  }
  std::sort(completion.candidates.begin(), completion.candidates.end());
  return completion;
}

}  // namespace sop::cli
