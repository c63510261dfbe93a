#pragma once

// Which organisation a request to the control API is about.

#include <optional>

#include "access/control_error.h"
#include "access/principal.h"
#include "net/http.h"

namespace gantry::api {

/// The parameter `orgId`; nothing when it is not given. Errors: InvalidArgument.
[[nodiscard]] access::ControlResult<std::optional<access::OrgId>> wanted_organisation(
    const net::Parameters& query);

}  // namespace gantry::api
