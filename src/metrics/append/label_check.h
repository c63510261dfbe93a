#pragma once

// Makes a label set canonical and holds it to the limits.

#include <span>
#include <string>
#include <vector>

#include "metrics/store.h"
#include "telemetry/append_result.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

struct LabelProblem {
  telemetry::RejectReason reason = telemetry::RejectReason::InvalidLabels;
  std::string message;
};

/// Sorts by name and drops empty values in place. False with `problem` set when the set is not one
/// of a series: no metric name, duplicate or empty names, bad UTF-8, or over a limit.
bool canonicalise(std::vector<telemetry::LabelView>& labels, const Limits& limits,
                  LabelProblem& problem);

}  // namespace gantry::metrics
