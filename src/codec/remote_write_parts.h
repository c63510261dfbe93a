#pragma once

// The small messages of remote write, for its decoder.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

struct DecodedSample {
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;
  double value = 0;
};

/// Unknown for numbers that are no type.
[[nodiscard]] telemetry::MetricType metric_type(std::int32_t number);

/// A Label message; views into it. Throws protozero's exceptions.
[[nodiscard]] telemetry::LabelView decode_label(std::string_view bytes);

/// Hot: per sample. A Sample message of either version. Throws protozero's exceptions.
[[nodiscard]] DecodedSample decode_sample(std::string_view bytes);

/// Hot: per label. How many bytes at the beginning of a 1.0 series are Label fields shorter than
/// 128 bytes, as most are: 0a <length> <bytes>. Longer ones and what follows are left to the
/// general reader.
[[nodiscard]] std::size_t leading_label_bytes(std::string_view series);

/// In 2.0 each series carries its family's metadata; the family is the name without the suffix that
/// its type gives to the parts.
[[nodiscard]] std::string_view family_of(std::string_view name, telemetry::MetricType type);

}  // namespace gantry::codec
