#pragma once

#include <string>

#include "gateway/key_rows.h"
#include "gateway/spend.h"

namespace gantry::gateway {

/// GET /key: {"data":{…}}, the key as its holder may see it, with what it has spent in USD. What
/// does not limit is null.
[[nodiscard]] std::string print_key(const GatewayKey& key, const KeySpend& spend);

}  // namespace gantry::gateway
