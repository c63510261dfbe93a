#pragma once

// Whether the engine and the plain evaluator give the same answer, to the bit.

#include <cstdint>
#include <optional>
#include <string>

#include "promql/engine.h"
#include "promql/series_source.h"

namespace gantry::promql::promqltest {

/// The engine adds up in batches of rows and merges them, in a fixed order. Where a group has
/// members in several batches, compensated sums need not have the bits of a sum over all in a row;
/// nor where the two add up rows in another order.
enum class Precision : std::uint8_t {
  Bits,
  Digits,  ///< Twelve significant ones.
};

/// One question to both.
struct Question {
  std::string query;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;  ///< 0: an instant query at start_ms.
  std::optional<std::int64_t> lookback_ms;
  Precision precision = Precision::Bits;
};

/// Both answers where they differ; nothing where they agree, or where the plain evaluator does not
/// know something in the query.
[[nodiscard]] std::optional<std::string> disagreement(const Engine& engine,
                                                      const Question& question,
                                                      const SeriesSource& source);

/// The smallest part of the query that the two still disagree about.
[[nodiscard]] Question shrink(const Engine& engine, const Question& question,
                              const SeriesSource& source);

/// All of the answer, in a canonical text: NaN as NaN, histograms bucket by bucket.
[[nodiscard]] std::string answer_text(const Result<Answer>& answer, Precision precision);

}  // namespace gantry::promql::promqltest
