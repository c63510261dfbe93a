#pragma once

#include <string>

#include "cli/config_flags.h"

namespace gantry::cli {

/// Prints how old the gateway's prices are, and which models have none. The exit status is 1 when
/// they are older than `age_max` ("90d") or nobody knows how old.
int check_prices(const ConfigFlags& flags, const std::string& age_max);

}  // namespace gantry::cli
