#pragma once

// Keys as JSON. Amounts are USD; what does not limit is null.

#include <string>

#include "core/json_writer.h"
#include "gateway/key_rows.h"
#include "gateway/spend.h"

namespace gantry::gateway {

/// GET /key: {"data":{…}}, the key as its holder may see it, with what it has spent.
[[nodiscard]] std::string print_key(const GatewayKey& key, const KeySpend& spend);

/// An object: the key as those see it who manage the stack's keys.
void write_managed_key(core::JsonWriter& json, const GatewayKey& key, const KeySpend& spend);

}  // namespace gantry::gateway
