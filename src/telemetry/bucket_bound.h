#pragma once

// Where the buckets of native histograms end.

#include <cstdint>

namespace gantry::telemetry {

/// The upper bound of positive bucket `index` of an exponential schema: (2^(2^-schema))^index, to
/// the bit as Prometheus has it. The bucket reaches down to the bound of `index` - 1; negative
/// buckets mirror it. The last bucket below +Inf ends at the largest double.
[[nodiscard]] double exponential_bound(std::int32_t schema, std::int64_t index);

}  // namespace gantry::telemetry
