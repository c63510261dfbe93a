#pragma once

// Does a keyring belong to a database? A secret sealed with a key that the others do not have, or
// under an id that stands for another key there, would open nowhere else.

#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/secrets/keyring.h"
#include "core/error.h"
#include "state/db.h"

namespace gantry::access {

/// Opens each key's canary, a fixed text sealed with it, looks for the keys that data keys are
/// sealed with, and leaves a canary for the active key; when that is another than those before, the
/// audit log gets `keyring.rotated`. `name`: the keyring's, for messages. Errors:
/// FailedPrecondition (the keyring is another database's, or lacks a key that is in use), those of
/// the database.
[[nodiscard]] Result<void> admit_keyring(state::Transaction& tx, AuditLog& audit,
                                         const Keyring& keyring, std::string_view name);

/// Some data key is sealed: without its keyring it is lost.
[[nodiscard]] Result<bool> has_data_keys(state::Transaction& tx);

/// Where no data key needs it, a keyring is replaced by another.
[[nodiscard]] Result<void> forget_canaries(state::Transaction& tx);

/// Ids of keys that have a canary or are in use, in order.
[[nodiscard]] Result<std::vector<std::string>> known_key_ids(state::Transaction& tx);

/// Forgets canaries of keys that seal nothing any more, but for `active`'s: their keys may go.
[[nodiscard]] Result<void> forget_unused_canaries(state::Transaction& tx, std::string_view active);

}  // namespace gantry::access
