#pragma once

// Evaluates PromQL over a SeriesSource.
//
//   Engine engine({.workers = &pool});
//   auto answer = engine.range({.query = "sum(rate(x[5m]))", .start_ms = …, .end_ms = …, .step_ms =
//   15'000}, source, cancel);
//
// Evaluation is by series over all steps, columns not objects: see promql/README.md. The answer to
// the same query over the same data has the same bits every time, whatever the number of workers.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "core/worker_pool.h"
#include "promql/ast.h"
#include "promql/parser.h"
#include "promql/series_source.h"

namespace gantry::promql {

/// Language and evaluation switches; the defaults are Prometheus 3.14's product defaults.
struct EngineOptions {
  core::WorkerPool* workers = nullptr;  ///< Null: everything on the calling thread.
  ParserOptions parser;
  bool delayed_name_removal = false;
  bool use_start_timestamps = false;
  bool type_and_unit_labels = false;  ///< Whether a series is a counter is told by __type__.
  std::int64_t lookback_ms = 5 * 60 * 1000;
  std::int64_t default_subquery_step_ms = 60 * 1000;
  std::uint64_t samples_max = 50'000'000;                   ///< In memory at once, per query.
  std::uint64_t memory_bytes_max = std::uint64_t{2} << 30;  ///< Matrices of one query.
};

using LabelPairs = std::vector<std::pair<std::string, std::string>>;

struct Point {
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

struct HistogramPoint {
  std::int64_t timestamp_ms = 0;
  std::shared_ptr<const telemetry::FloatHistogram> histogram;
};

struct ResultSeries {
  LabelPairs labels;  ///< Sorted by name.
  std::vector<Point> points;
  std::vector<HistogramPoint> histograms;
};

/// One element of an instant vector: histogram is null for a float.
struct VectorElement {
  LabelPairs labels;
  std::int64_t timestamp_ms = 0;
  double value = 0;
  std::shared_ptr<const telemetry::FloatHistogram> histogram;
};

struct ScalarValue {
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

struct StringValue {
  std::int64_t timestamp_ms = 0;
  std::string value;
};

using Value =
    std::variant<ScalarValue, std::vector<VectorElement>, std::vector<ResultSeries>, StringValue>;

struct Annotations {
  std::vector<std::string>
      warnings;  ///< With "PromQL warning: " and the position where they are the engine's.
  std::vector<std::string> infos;
};

struct QueryStatistics {
  std::uint64_t samples_total = 0;  ///< A range window counts fully at each step.
  std::uint64_t samples_read = 0;   ///< Each sample once.
  std::uint64_t samples_peak = 0;
  double preparation_seconds = 0;
  double evaluation_seconds = 0;
};

struct Answer {
  Value value;
  Annotations annotations;
  QueryStatistics statistics;
};

struct InstantRequest {
  std::string_view query;
  std::int64_t time_ms = 0;
  std::optional<std::int64_t> lookback_ms;
  std::optional<std::uint64_t> samples_max;  ///< Absent: the engine's.
};

struct RangeRequest {
  std::string_view query;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;   ///< Not before start.
  std::int64_t step_ms = 0;  ///< Positive.
  std::optional<std::int64_t> lookback_ms;
  std::optional<std::uint64_t> samples_max;  ///< Absent: the engine's.
};

/// Why a query failed, in the Prometheus API's terms: the code tells them apart.
///   InvalidArgument     bad_data: does not parse, wrong type (message ready for `invalid parameter
///   "query": …`) FailedPrecondition  execution ResourceExhausted   execution: a limit ("query
///   processing would load too many samples into memory in query execution") DeadlineExceeded
///   timeout: "query timed out in expression evaluation" Cancelled           canceled: "query was
///   canceled in expression evaluation" others              internal
///
/// Immutable. Thread-safe: any number of queries at once.
class Engine {
 public:
  explicit Engine(EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// A matrix answer's series, and only those, are sorted by labels; a vector has evaluation order.
  [[nodiscard]] Result<Answer> instant(const InstantRequest& request, const SeriesSource& source,
                                       const CancelToken& cancel) const;

  /// Always a matrix (a scalar becomes one series without labels), sorted by labels, series without
  /// points left out.
  [[nodiscard]] Result<Answer> range(const RangeRequest& request, const SeriesSource& source,
                                     const CancelToken& cancel) const;

  [[nodiscard]] const EngineOptions& options() const { return options_; }

 private:
  EngineOptions options_;
};

}  // namespace gantry::promql
