#pragma once

// Seals bytes for keeping in the database (XSalsa20-Poly1305 under a key made from the secret key).

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/secret_key.h"
#include "core/error.h"

namespace gantry::access {

/// Immutable, thread-safe.
class SealedBox {
 public:
  /// Boxes for different purposes cannot open each other's.
  SealedBox(const SecretKey& key, std::string_view purpose);

  /// Nonce and sealed bytes, under the current pepper.
  [[nodiscard]] std::vector<std::byte> seal(std::string_view text) const;

  /// Tries every pepper. Errors: DataLoss.
  [[nodiscard]] Result<std::string> open(std::span<const std::byte> sealed) const;

 private:
  std::vector<std::array<unsigned char, 32>> keys_;
};

}  // namespace gantry::access
