#include "tests/fuzz/fuzz_target.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "core/base/bytes.h"
#include "core/base/checksum.h"

namespace sop::fuzz {

uint8_t InputReader::Byte() {
  if (rest_.empty()) return 0;
  const auto byte = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return byte;
}

std::string_view InputReader::Piece() {
  size_t size = Byte();
  size |= size_t{Byte()} << 8;
  const std::string_view piece = rest_.substr(0, size);
  rest_.remove_prefix(piece.size());
  return piece;
}

std::string AsPiece(std::string_view bytes) {
  std::string out;
  out.push_back(static_cast<char>(bytes.size() & 0xff));
  out.push_back(static_cast<char>(bytes.size() >> 8));
  return out.append(bytes);
}

std::string Chosen(uint8_t choice, std::string_view rest) {
  return std::string(1, static_cast<char>(choice)).append(rest);
}

std::string WithChecksum(std::string_view bytes, size_t size) {
  std::string out(bytes.substr(0, bytes.size() - std::min(size, bytes.size())));
  if (size == 4) {
    base::AppendLittle32(&out, base::Checksum32(out));
  } else {
    base::AppendLittle64(&out, base::Checksum64(out));
  }
  return out;
}

namespace {

int WriteSeeds(const std::string& folder) {
  int number = 0;
  for (const std::string& seed : Seeds()) {
    std::ofstream file(fmt::format("{}/seed{:03}", folder, number++), std::ios::binary);
    file.write(seed.data(), static_cast<std::streamsize>(seed.size()));
    if (!file) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace sop::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::string_view((*argv)[1]) == "--write-seeds") {
    std::_Exit(sop::fuzz::WriteSeeds((*argv)[2]));
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  sop::fuzz::RunInput({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
