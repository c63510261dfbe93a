#pragma once

#include "cli/config_flags.h"

namespace gantry::cli {

// `gantry keyring …`: beside a running server or without one; each returns the exit status.

/// Makes DIR/keyring.json.
int init_keyring(const ConfigFlags& flags);

/// Adds a fresh active key to it.
int rotate_keyring(const ConfigFlags& flags);

/// Seals everything in the database with the active key again.
int rewrap_secrets(const ConfigFlags& flags);

}  // namespace gantry::cli
