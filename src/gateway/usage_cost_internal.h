#pragma once

// What a call cost, in the `usage` that its client gets.

#include <string_view>

#include "gateway/byte_edits.h"
#include "gateway/generation.h"
#include "gateway/json_reader.h"

namespace gantry::gateway {

/// Sets `cost`, `cost_details` and `is_byok` of the usage, a JSON object that is `range` of `text`.
/// A provider's own cost stays as cost_details.upstream_inference_cost; where it is all that is
/// known of a call without a price, `cost` is null. Nothing changes when nothing is known.
void edit_cost_members(std::string_view text, ByteRange range, const Pricing& pricing,
                       ByteEdits& edits);

}  // namespace gantry::gateway
