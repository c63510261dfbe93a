#pragma once

// Label sets that a batch's resolver hands out, made into ones of our own.

#include <optional>
#include <span>

#include "core/hash.h"
#include "telemetry/labels.h"

namespace gantry::pipeline {

/// Equal for equal label sets, and for those only: `labels` are sorted and are valid UTF-8. As
/// BatchSeries::key is to be.
[[nodiscard]] core::Hash128 label_set_key(std::span<const telemetry::Label> labels);

/// Absent: labels that a store refuses, one without a name or the same name twice.
[[nodiscard]] std::optional<telemetry::Labels> own_labels(
    std::span<const telemetry::LabelView> views);

}  // namespace gantry::pipeline
