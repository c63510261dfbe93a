#pragma once

// The keyring at a start: read, or made where there never was one, and checked against the
// database.

#include <memory>

#include "access/audit.h"
#include "access/secrets/keyring_source.h"
#include "core/error.h"
#include "state/db.h"

namespace gantry::access {

/// A missing file is made when `db` belongs to this process alone and nothing is sealed yet. Where
/// other replicas share the database it stays missing (they need one and the same, which `gantry
/// keyring init` makes), and nothing can be sealed until it is there. Errors: FailedPrecondition
/// (missing although secrets are sealed, or not this database's), those of read_keyring but
/// NotFound, the database's.
[[nodiscard]] Result<std::unique_ptr<LiveKeyring>> open_keyring(KeyringSource source, state::Db& db,
                                                                AuditLog& audit);

/// Makes the file, which must not be there, for a database in which nothing is sealed. Errors:
/// AlreadyExists, FailedPrecondition (secrets are sealed: their keyring is another), those of
/// create_keyring and the database.
[[nodiscard]] Result<void> init_keyring(const KeyringSource& source, state::Db& db,
                                        AuditLog& audit);

}  // namespace gantry::access
