#pragma once

// The settings oidc.* as access wants them.

#include <optional>

#include "access/oidc_provider.h"
#include "core/error.h"
#include "server/config.h"

namespace gantry::server {

/// Absent without oidc.issuer. Reads oidc.client_secret_file. Errors (InvalidArgument, naming the
/// key): what is missing or wrong.
[[nodiscard]] Result<std::optional<access::OidcSettings>> make_oidc_settings(const Config& config);

}  // namespace gantry::server
