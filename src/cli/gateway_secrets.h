#pragma once

#include <string>

#include "cli/config_flags.h"

namespace gantry::cli {

// `gantry gateway-secrets …`: on the state database and the keyring, beside a running server or
// without one; each returns the exit status.

/// Reads the secret from standard input: a line, or all of what is piped in.
int set_gateway_secret(const ConfigFlags& flags, const std::string& name);

/// Names, hints and times; never a secret.
int list_gateway_secrets(const ConfigFlags& flags);

int delete_gateway_secret(const ConfigFlags& flags, const std::string& name);

}  // namespace gantry::cli
