#pragma once

// People and sessions as JSON, in the shapes of Grafana's HTTP API where it has them.

#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "access/session_rows.h"
#include "access/users.h"
#include "core/error.h"

namespace gantry::api {

/// {"id","login","name","email","isGrafanaAdmin","isDisabled",…}; nothing secret.
[[nodiscard]] nlohmann::json user_json(const access::User& user);

/// {"orgId","slug","name","role","labelPolicies"?}
[[nodiscard]] nlohmann::json membership_json(const access::Membership& membership);

/// {"userId","login",…,"orgId","role"}
[[nodiscard]] nlohmann::json member_json(const access::Member& member);

/// [{"id","isActive","clientIp","userAgent","provider","createdAt","seenAt","expiresAt"}]; active
/// is the family `own`.
[[nodiscard]] nlohmann::json sessions_json(const std::vector<access::SessionRow>& sessions,
                                           std::string_view own);

/// "Viewer", "Editor", "Admin"
[[nodiscard]] std::string_view role_word(access::Role role);

/// The same, in any case. Errors: InvalidArgument.
[[nodiscard]] Result<access::Role> parse_role_word(std::string_view word);

}  // namespace gantry::api
