#pragma once

// Random queries of the whole language over the names of vocabulary.h.

#include <cstdint>
#include <string>

#include "promql/parser.h"

namespace gantry::promql::promqltest {

/// What queries may use, and when the data they ask for was taken.
struct QueryFeatures {
  bool experimental_functions = true;
  bool histograms = true;       ///< Native ones, and their functions and operators.
  bool extended_ranges = true;  ///< anchored, smoothed
  bool fill = true;
  bool duration_expressions = true;
  bool time_modifiers = true;  ///< @ and negative offsets.
  bool subqueries = true;
  bool quoted_names = true;
  bool info = true;  ///< Needs experimental_functions too.

  /// Only what Prometheus 2.42 has and what answers the same there: no functions or number syntax
  /// of later versions. A sub-query's range then ends on half a second, so that over whole seconds
  /// its left end, which belonged to the window once and does not now, never falls on its grid.
  /// With `histograms`, native ones are only counted, summed, rated and added. What
  /// else has changed since is said in random_query.cc where it is left out.
  bool prometheus_2_42 = false;

  std::int64_t data_start_seconds = 0;  ///< For @.
  std::int64_t data_end_seconds = 3600;

  /// The features of that version, without native histograms.
  [[nodiscard]] static QueryFeatures of_prometheus_2_42();
};

/// The switches of the parser that such queries need.
[[nodiscard]] ParserOptions parser_options(const QueryFeatures& features);

/// A query that parses and is of a type that range queries take; the same for the same seed. Most
/// have a non-empty answer over the series of random_series.h. Durations and times are whole
/// seconds apart from the sub-queries above and from duration expressions.
[[nodiscard]] std::string random_query(std::uint64_t seed, const QueryFeatures& features);

}  // namespace gantry::promql::promqltest
