#include "core/base/checksum.h"

#include <xxhash.h>

#include "core/base/check.h"

namespace sop::base {

uint64_t Checksum64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Checksum::State {
  // Aligned as it must be.
  XXH3_state_t* const xxh3 = XXH3_createState();
};

Checksum::Checksum() : state_(std::make_unique<State>()) {
  SOP_CHECK(state_->xxh3 != nullptr);
  Reset();
}

Checksum::~Checksum() { XXH3_freeState(state_->xxh3); }

void Checksum::Add(std::string_view bytes) {
  XXH3_64bits_update(state_->xxh3, bytes.data(), bytes.size());
}

uint64_t Checksum::Value() const { return XXH3_64bits_digest(state_->xxh3); }

void Checksum::Reset() { XXH3_64bits_reset(state_->xxh3); }

}  // namespace sop::base
