#pragma once

// The series of one expression: what second stages and arithmetic work on.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "traceql/engine.h"

namespace gantry::traceql::metrics {

/// An exemplar and the interval it falls in.
struct PlacedExemplar {
  MetricsExemplar exemplar;
  std::uint32_t interval = 0;
};

struct Series {
  std::vector<NamedValue> labels;
  std::vector<double> values;             ///< By interval; NaN: no sample.
  std::vector<PlacedExemplar> exemplars;  ///< By time.
  bool is_notice = false;  ///< Says something about the answer and never has samples.

  [[nodiscard]] bool has_samples() const;
};

using SeriesTable = std::vector<Series>;

inline constexpr const char* kMetricNameLabel = "__name__";

/// Texts are bare, other values as queries write them.
[[nodiscard]] std::string label_text(const Static& value);

/// As series carry it: status, kind and durations are texts.
[[nodiscard]] Static to_label_value(Static value);

/// Appends bytes that two values share exactly when they are equal by type and value.
void append_key(std::string& out, const Static& value);

/// Fewer labels first, then by key and value text.
void sort_series(SeriesTable& table);

/// Removes series without samples (notices stay) and exemplars of intervals without one.
void drop_empty(SeriesTable& table);

}  // namespace gantry::traceql::metrics
