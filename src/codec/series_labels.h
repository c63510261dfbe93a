#pragma once

// The rules every codec holds a resolved label set to.

#include <span>

#include "core/error.h"
#include "telemetry/labels.h"

namespace gantry::codec {

/// A metric name is there, every name is non-empty, everything is UTF-8, and no name is given twice
/// with non-empty values. Labels with empty values count as absent. Errors: InvalidArgument with
/// Prometheus' remote write texts.
[[nodiscard]] Result<void> check_series_labels(std::span<const telemetry::LabelView> labels);

/// For messages: the labels sorted and quoted, cut to a readable length.
[[nodiscard]] std::string describe_series(std::span<const telemetry::LabelView> labels);

/// At most `bytes_max` bytes of `text`, cut between code points, with "..." when cut.
[[nodiscard]] std::string excerpt(std::string_view text, std::size_t bytes_max);

}  // namespace gantry::codec
