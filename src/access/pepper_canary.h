#pragma once

// Does a secret key belong to a database? Tokens under another pepper would all be refused as
// unknown, and new ones made here would be unknown to the other replicas: better not to start.

#include "access/secret_key.h"
#include "core/error.h"
#include "state/db.h"

namespace gantry::access {

/// Compares each pepper with its canary, the HMAC of a fixed text under it, and keeps the canaries
/// of new ones. False: the key is another database's. Errors: the database's.
[[nodiscard]] Result<bool> check_pepper_canaries(state::Transaction& tx, const SecretKey& key);

/// Some key belongs to this database already.
[[nodiscard]] Result<bool> has_pepper_canaries(state::Transaction& tx);

}  // namespace gantry::access
