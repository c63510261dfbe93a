#pragma once

// Seals values of an organisation for its rows in the database, and opens them.
//
//   GANTRY_TRY(const SealedValue sealed, sealer.seal(tx, place, Secret::copy_of(key)));
//   GANTRY_TRY(const Secret key, sealer.open(tx, place, sealed.text));
//
// Whoever keeps secrets uses StoredSecrets (stored_secrets.h), whose rows `gantry keyring rewrap`
// finds.

#include <cstdint>
#include <string>
#include <string_view>

#include "access/secrets/data_keys.h"
#include "core/error.h"

namespace gantry::access {

/// Where a value belongs; it opens nowhere else. Views: the caller's. Each 1 to 128 bytes without
/// '|' and control characters, else InvalidArgument.
struct SealPlace {
  OrgId org;
  std::string_view table;   ///< "destinations"
  std::string_view column;  ///< "api_key"
  std::string_view row;     ///< The row's id.
};

struct SealedValue {
  std::string text;           ///< SealedText
  std::int64_t data_key = 0;  ///< The organisation's, in its header.
};

/// Thread-safe.
class Sealer {
 public:
  struct Options {
    SealAlgorithm algorithm = SealAlgorithm::XChaCha20Poly1305;  ///< access.crypto
    std::int64_t seals_per_key_max = std::int64_t{1} << 31;
  };

  /// `parts` outlive it.
  Sealer(const DataKeys::Parts& parts, const Options& options)
      : keyring_(&parts.keyring), keys_(parts, options.algorithm, options.seals_per_key_max) {}

  /// In a write transaction: the organisation's first value makes its key. Errors: InvalidArgument,
  /// TooLarge (over kSecretBytesMax), FailedPrecondition (no keyring, or not this database's), the
  /// database's.
  [[nodiscard]] Result<SealedValue> seal(state::Transaction& tx, const SealPlace& place,
                                         const Secret& clear) const;

  /// Errors: DataLoss (changed, moved, or its key is gone), FailedPrecondition (sealed with a
  /// keyring key that is missing, or by a newer version), the database's.
  [[nodiscard]] Result<Secret> open(state::Transaction& tx, const SealPlace& place,
                                    std::string_view sealed) const;

  [[nodiscard]] const DataKeys& keys() const { return keys_; }

  [[nodiscard]] LiveKeyring& keyring() const { return *keyring_; }

 private:
  LiveKeyring* keyring_;
  DataKeys keys_;
};

}  // namespace gantry::access
