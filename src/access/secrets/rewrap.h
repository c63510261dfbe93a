#pragma once

// Rotation: everything sealed comes under the active key of the keyring.

#include <cstdint>
#include <string>
#include <vector>

#include "access/audit.h"
#include "access/secrets/sealer.h"
#include "core/error.h"
#include "state/db.h"

namespace gantry::access {

struct Rewrapped {
  std::int64_t data_keys = 0;         ///< Sealed again with the active key.
  std::int64_t secrets = 0;           ///< Sealed again with a new data key.
  std::int64_t removed_keys = 0;      ///< Data keys that seal nothing any more.
  std::vector<std::string> failures;  ///< What could not be opened, and stays as it was.
  std::vector<std::string> unused;    ///< Keys of the keyring that this database needs no more.
};

/// Seals all data keys again with the active key (quick, and what a leaked older key is worth ends
/// there), then gives each organisation whose data key is from before a new one and seals its
/// secrets with it. Transactions of `batch_rows` rows, each of which leaves everything readable:
/// interrupted at any point, the next run goes on where this one was, and one that has nothing to
/// do changes nothing. May run beside servers on the same database. Errors: FailedPrecondition (no
/// keyring, or not this database's), the database's; what it has done by then is done.
[[nodiscard]] Result<Rewrapped> rewrap_secrets(state::Db& db, const Sealer& sealer, AuditLog& audit,
                                               std::int64_t batch_rows = 100);

/// Adds a fresh active key to the file of the keyring and leaves its canary; returns its id.
/// Nothing is sealed again. Errors: FailedPrecondition (no file, not this database's, too many
/// keys), those of the file and the database.
[[nodiscard]] Result<std::string> rotate_keyring(state::Db& db, LiveKeyring& keyring,
                                                 AuditLog& audit);

}  // namespace gantry::access
