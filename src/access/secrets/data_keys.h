#pragma once

// Keys of one organisation each, which seal its secrets. They lie in the database, sealed with a
// key of the keyring: a new keyring key means to seal these few again, not all secrets.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/principal.h"
#include "access/secrets/keyring_source.h"
#include "access/secrets/sealed_text.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

/// A data key in clear.
struct DataKey {
  SealHeader header;  ///< What it seals next is marked with.
  Secret bytes;
};

/// A row of data_keys.
struct DataKeyRow {
  OrgId org;
  std::int64_t id = 0;
  std::string wrapped;            ///< Sealed with a key of the keyring.
  std::string made_under;         ///< The active key when it was made; `wrapped` may be newer.
  std::int64_t sealed_count = 0;  ///< Values sealed with it so far.
};

/// Thread-safe; transactions are the caller's, `tx` a write transaction where keys are made or
/// changed.
class DataKeys {
 public:
  struct Parts {
    LiveKeyring& keyring;
    AuditLog& audit;
    const Clock& clock;
  };

  /// `parts` outlive it. A data key that has sealed `seals_max` values is followed by a new one:
  /// well under the 2^32 that random nonces of AES-GCM are good for.
  DataKeys(const Parts& parts, SealAlgorithm algorithm, std::int64_t seals_max)
      : parts_(parts), algorithm_(algorithm), seals_max_(seals_max) {}

  /// The newest key of `org`, made when there is none or it has sealed enough; counts one use.
  /// Errors: FailedPrecondition (no keyring, or not this database's), DataLoss, the database's.
  [[nodiscard]] Result<DataKey> take(state::Transaction& tx, OrgId org) const;

  /// For what was sealed with it. Errors: DataLoss (it is gone or damaged), FailedPrecondition (its
  /// keyring key is missing), the database's.
  [[nodiscard]] Result<DataKey> open(state::Transaction& tx, OrgId org, std::int64_t id) const;

  /// Makes a new newest key; returns its id.
  [[nodiscard]] Result<std::int64_t> make(state::Transaction& tx, OrgId org) const;

  /// Null: `org` has none.
  [[nodiscard]] static Result<std::optional<DataKeyRow>> newest(state::Transaction& tx, OrgId org);

  /// Seals the key with the active key of the keyring, when it is with another. Errors: as `open`.
  [[nodiscard]] Result<void> wrap_again(state::Transaction& tx, const DataKeyRow& row) const;

 private:
  [[nodiscard]] Result<Secret> unwrap(const DataKeyRow& row) const;
  [[nodiscard]] Result<std::string> wrap(const KeyringKey& key, OrgId org, std::int64_t id,
                                         const Secret& bytes) const;

  Parts parts_;
  SealAlgorithm algorithm_;
  std::int64_t seals_max_;
};

}  // namespace gantry::access
