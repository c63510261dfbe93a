#pragma once

#include <string>

#include "cli/control_client_internal.h"

namespace gantry::cli {

/// The id of the access policy with this id or name. Errors: NotFound.
[[nodiscard]] Result<std::string> find_policy_id(ControlClient& client,
                                                 const std::string& id_or_name);

}  // namespace gantry::cli
