#include "core/sha256.h"

#include <tuple>

#include <sodium.h>

namespace gantry::core {

static_assert(crypto_hash_sha256_BYTES == std::tuple_size_v<Sha256Digest>);

Sha256Digest sha256(std::initializer_list<std::string_view> parts) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const std::string_view part : parts) {
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(part.data()),
                              part.size());
  }
  Sha256Digest digest{};
  crypto_hash_sha256_final(&state, digest.data());
  return digest;
}

}  // namespace gantry::core
