#pragma once

#include <functional>
#include <string>

#include "core/time.h"

namespace gantry::gateway {

/// Makes the id of a call that begins now. Any number of threads.
using GenerationIds = std::function<std::string(TimestampMs now)>;

/// gen-<unix seconds>-<20 of A-Z, a-z, 0-9>: 119 random bits of the system's.
[[nodiscard]] std::string make_generation_id(TimestampMs now);

}  // namespace gantry::gateway
