#pragma once

// What a function of a range vector has to say of one series: gathered as flags while its steps are
// computed, worded once.

#include <cstdint>
#include <string_view>

#include "promql/ast.h"
#include "promql/eval/annotations.h"

namespace gantry::promql::eval {

struct RangeNotes {
  bool mixes_kinds = false;         ///< Floats and histograms where only one kind will do.
  bool ignores_histograms = false;  ///< Beside floats, which alone count.
  bool is_not_counter = false;      ///< A gauge where counters are expected.
  bool is_not_gauge = false;
  bool mixes_buckets = false;  ///< Exponential and custom buckets.
  bool has_conflicting_resets = false;
  bool reconciled_addition = false;  ///< Custom bounds differed.
  bool reconciled_subtraction = false;
  bool reconciled_aggregation = false;
  std::uint64_t start_time_overlaps = 0;  ///< Steps.

  friend bool operator==(const RangeNotes&, const RangeNotes&) = default;

  void merge(const RangeNotes& other);

  /// `position`: of the range vector; `first_position`: of the call's first argument.
  void write(std::string_view metric_name, Position position, Position first_position,
             AnnotationSet& annotations) const;
};

}  // namespace gantry::promql::eval
