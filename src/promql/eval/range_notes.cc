#include "promql/eval/range_notes.h"

namespace gantry::promql::eval {

void RangeNotes::merge(const RangeNotes& other) {
  mixes_kinds |= other.mixes_kinds;
  ignores_histograms |= other.ignores_histograms;
  is_not_counter |= other.is_not_counter;
  is_not_gauge |= other.is_not_gauge;
  mixes_buckets |= other.mixes_buckets;
  has_conflicting_resets |= other.has_conflicting_resets;
  reconciled_addition |= other.reconciled_addition;
  reconciled_subtraction |= other.reconciled_subtraction;
  reconciled_aggregation |= other.reconciled_aggregation;
  start_time_overlaps += other.start_time_overlaps;
}

void RangeNotes::write(std::string_view metric_name, Position position, Position first_position,
                       AnnotationSet& annotations) const {
  if (mixes_kinds) {
    annotations.warn(
        with_quoted("encountered a mix of histograms and floats for metric name", metric_name),
        position);
  }
  if (is_not_counter) {
    annotations.warn(with_quoted("this native histogram metric is not a counter:", metric_name),
                     position);
  }
  if (is_not_gauge) {
    annotations.warn(with_quoted("this native histogram metric is not a gauge:", metric_name),
                     position);
  }
  if (mixes_buckets) {
    annotations.warn(with_quoted("vector contains a mix of histograms with exponential and custom "
                                 "buckets schemas for metric name",
                                 metric_name),
                     position);
  }
  if (has_conflicting_resets) {
    annotations.warn("conflicting counter resets during histogram aggregation", position);
  }
  if (start_time_overlaps > 0) {
    annotations.add_start_time_overlaps(metric_name, start_time_overlaps, position);
  }
  if (ignores_histograms) {
    annotations.info(with_quoted("ignored histograms in a range containing both floats and "
                                 "histograms for metric name",
                                 metric_name),
                     first_position);
  }
  constexpr std::string_view kReconciled = "mismatched custom buckets were reconciled during ";
  if (reconciled_addition) annotations.info(std::string(kReconciled) + "addition", position);
  if (reconciled_subtraction) annotations.info(std::string(kReconciled) + "subtraction", position);
  if (reconciled_aggregation) annotations.info(std::string(kReconciled) + "aggregation", position);
}

}  // namespace gantry::promql::eval
