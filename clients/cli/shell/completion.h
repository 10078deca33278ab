#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sop::cli {

// What the Tab key may put in place of the word before the cursor.
struct Completion {
  // Where that word begins in the text.
  size_t begin = 0;
  // In order, each as it is to be typed, with quotes where it needs them. One that ends in '/' is
  // to be gone on with; behind all others belongs a space.
  std::vector<std::string> candidates;

  // What all candidates begin with.
  std::string SharedStart() const;
};

// What may stand at the end of `text`, the part of a command before the cursor: commands, options
// and the values they are limited to as `program` has them, stores (`store_names` is asked only
// then), files, and the shell's own `\` commands.
Completion Complete(CLI::App& program, std::string_view text,
                    const std::function<std::vector<std::string>()>& store_names);

}  // namespace sop::cli
