#pragma once

// What a newcomer sees at the first start: where to go, who to be, and a data source to paste.

#include <string>

#include "access/first_start.h"

namespace gantry::server {

/// Holds the secrets in clear: for the terminal of whoever started the program, once.
[[nodiscard]] std::string format_announcement(const access::FirstStart& first,
                                              const std::string& file);

}  // namespace gantry::server
