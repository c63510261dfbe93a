#pragma once

// Binary operators on columns of floats and on single histograms, without any matching.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/annotations.h"
#include "promql/eval/matrix.h"

namespace gantry::promql::eval {

/// One pair of floats. Comparisons give 1 or 0. Not for set operators and trims.
[[nodiscard]] double apply_operator(BinaryOp op, double left, double right);

/// out[i] = left[i] op right[i] for arithmetic. `out` may be one of the inputs.
void apply_arithmetic(BinaryOp op, std::span<const double> left, std::span<const double> right,
                      std::span<double> out);

/// Bit i of `out`: left[i] op right[i]. Bits past the last step are clear.
void apply_comparison(BinaryOp op, std::span<const double> left, std::span<const double> right,
                      std::span<std::uint64_t> out);

/// A float, or a histogram.
struct Element {
  double value = 0;
  HistogramPtr histogram;
};

/// What a pair of elements has to report. A binary operation reports, at each step, what the last
/// of its pairs has to report.
enum class PairNote : std::uint8_t {
  None,
  // The operator is not made for such a pair.
  FloatFloat,
  FloatHistogram,
  HistogramFloat,
  HistogramHistogram,
  // Sums and differences of histograms.
  BucketLayouts,     ///< Exponential and custom buckets do not mix.
  HintConflict,      ///< One was `reset`, the other `not_reset`.
  ReconciledBounds,  ///< Custom bounds differed; there is a result.
};

/// Why a pair has no result at all, not even one that a filter drops: any note but
/// ReconciledBounds; None when it has one. Cheap: no buckets are looked at.
[[nodiscard]] PairNote find_refusal(BinaryOp op, const Element& left, const Element& right);

/// Combines a pair that find_refusal does not refuse. Nothing when a filter drops it. `note` may
/// become ReconciledBounds, and is left alone otherwise.
[[nodiscard]] std::optional<Element> combine_elements(BinaryOp op, bool returns_bool,
                                                      const Element& left, const Element& right,
                                                      PairNote& note);

/// Words `note` at `position`.
void annotate_pair(BinaryOp op, PairNote note, AnnotationSet& annotations, Position position);

/// Words what the steps have to report: one note each, of its last pair.
void annotate_steps(BinaryOp op, std::span<const PairNote> notes, AnnotationSet& annotations,
                    Position position);

[[nodiscard]] constexpr bool is_trim(BinaryOp op) {
  return op == BinaryOp::TrimLower || op == BinaryOp::TrimUpper;
}

/// Whether the operator removes the metric name.
[[nodiscard]] bool drops_metric_name(BinaryOp op, bool returns_bool);

}  // namespace gantry::promql::eval
