#pragma once

// The settings oidc.* as access wants them.

#include <vector>

#include "access/oidc_provider.h"
#include "core/error.h"
#include "server/config.h"

namespace gantry::server {

/// The provider of oidc.issuer, if it is set, then those of oidc.providers; their names differ.
/// Reads the files of secrets and keys. Errors (InvalidArgument, naming the key): what is missing
/// or wrong.
[[nodiscard]] Result<std::vector<access::OidcSettings>> make_oidc_settings(const Config& config);

}  // namespace gantry::server
