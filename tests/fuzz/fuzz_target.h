#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What a fuzz target consists of. libFuzzer brings main; `--write-seeds DIR` writes the seeds and
// ends.
namespace sop::fuzz {

// Small inputs that are right, made by the code under test, so that they follow the formats.
std::vector<std::string> Seeds();

// Runs one input. Whatever must hold is a SOP_CHECK: libFuzzer keeps the input of one that fails.
void RunInput(std::string_view input);

// Takes bytes off the front of an input; what is not there is 0 or empty. Confined to one run.
class InputReader {
 public:
  explicit InputReader(std::string_view input) : rest_(input) {}

  uint8_t Byte();
  // A piece of at most 65,535 bytes, its length first.
  std::string_view Piece();
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// What InputReader::Piece reads.
std::string AsPiece(std::string_view bytes);
// A byte before the rest.
std::string Chosen(uint8_t choice, std::string_view rest);

// `bytes` with the last `size` (4 or 8) of them replaced by the checksum of those before: damage
// gets past the checksum.
std::string WithChecksum(std::string_view bytes, size_t size);

}  // namespace sop::fuzz
