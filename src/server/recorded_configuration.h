#pragma once

// What of the configuration decides who gets in and where the server may go, for the audit log.

#include <cstdint>
#include <span>
#include <vector>

#include "access/oidc_provider.h"
#include "access/recorded_settings.h"
#include "server/config.h"

namespace gantry::server {

/// For access::record_settings: the OpenID providers, their rules for roles, the egress allow-list,
/// and which pepper is current. `oidc`: make_oidc_settings(config).
[[nodiscard]] std::vector<access::RecordedSettings> recorded_configuration(
    const Config& config, std::span<const access::OidcSettings> oidc, std::int64_t pepper_id);

}  // namespace gantry::server
