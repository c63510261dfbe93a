// Engine::metrics: runs every metrics pipeline of a query over every group, each group opened once,
// then second stages and arithmetic over the series.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "traceql/engine.h"
#include "traceql/eval/group_evaluator.h"
#include "traceql/metrics/aggregation.h"
#include "traceql/metrics/arithmetic.h"
#include "traceql/metrics/intervals.h"
#include "traceql/metrics/second_stage.h"
#include "traceql/required_text.h"

namespace gantry::traceql {

namespace metrics {

namespace {

constexpr std::uint32_t kExemplarsMax = 100;

/// Groups observed between two merges, per lane: bounds the parts that wait. No influence on the
/// bits, because parts are merged in order.
constexpr std::size_t kWavePerLane = 4;

/// What observing one group gave: a part per pipeline, or why not.
struct GroupReport {
  std::vector<std::unique_ptr<Aggregation::Part>> parts;
  std::uint64_t traces = 0;
  std::uint64_t spans = 0;
  std::uint64_t bytes = 0;
  std::optional<Error> error;
};

std::uint32_t exemplar_count(const MetricsRequest& request) {
  if (request.step_ns == 0) return 0;  // Instant queries have none.
  std::int64_t wanted = request.exemplars_max;
  if (const Static* hint = request.query->hint("exemplars"); hint != nullptr) {
    if (hint->type == StaticType::Bool && !hint->boolean) wanted = 0;
    if (hint->type == StaticType::Int) wanted = std::max<std::int64_t>(0, hint->integer);
  }
  return static_cast<std::uint32_t>(std::min<std::int64_t>(wanted, kExemplarsMax));
}

class MetricsRun {
 public:
  MetricsRun(const EngineOptions& engine, const AggregationOptions& options,
             const CancelToken& cancel)
      : engine_(engine), options_(options), cancel_(cancel), memory_(engine.memory_bytes_max) {}

  /// Adds the expression's pipelines, left to right: the order that `evaluate` takes them in.
  void plan(const MetricsExpr& expr);

  /// After `plan`: what a group must have for any of the pipelines.
  [[nodiscard]] std::span<const RequiredText> required() const { return required_; }

  Result<void> observe(const SpanSnapshot& snapshot, SearchStatistics& statistics);

  Result<Operand> evaluate(const MetricsExpr& expr);

 private:
  void require(const Pipeline& pipeline);
  Result<void> observe_group(const SpanSnapshot& snapshot, std::size_t group,
                             GroupReport& report) const;
  void observe_wave(const SpanSnapshot& snapshot, std::span<const std::size_t> groups,
                    std::span<GroupReport> reports) const;

  const EngineOptions& engine_;
  AggregationOptions options_;
  const CancelToken& cancel_;
  MemoryAccount memory_;
  std::vector<std::unique_ptr<Aggregation>> aggregations_;
  std::vector<RequiredText> required_;
  std::size_t evaluated_ = 0;
};

/// A group is needed if any pipeline may find something in it: what all of them require stays.
void MetricsRun::require(const Pipeline& pipeline) {
  const std::vector<RequiredText> texts = required_texts(pipeline);
  if (aggregations_.empty()) {
    required_ = texts;
    return;
  }
  std::erase_if(required_, [&](const RequiredText& mine) {
    return std::ranges::none_of(texts, [&](const RequiredText& other) {
      return mine.table == other.table && mine.key == other.key && mine.text == other.text;
    });
  });
}

void MetricsRun::plan(const MetricsExpr& expr) {
  if (const auto* pipeline = std::get_if<MetricsPipeline>(&expr.node)) {
    require(pipeline->pipeline);
    aggregations_.push_back(pipeline->function.op == MetricsOp::Compare
                                ? make_compare_aggregation(*pipeline, options_)
                                : make_function_aggregation(*pipeline, options_));
  } else if (const auto* binary = std::get_if<MetricsBinary>(&expr.node)) {
    plan(*binary->left);
    plan(*binary->right);
  }
}

Result<void> MetricsRun::observe_group(const SpanSnapshot& snapshot, std::size_t group,
                                       GroupReport& report) const {
  GANTRY_CHECK(cancel_.check());
  GANTRY_TRY(const std::unique_ptr<SpanGroup> opened, snapshot.open(group));
  GroupEvaluator evaluator(*opened);
  for (const auto& aggregation : aggregations_) {
    GANTRY_TRY(auto part, aggregation->observe(evaluator));
    report.parts.push_back(std::move(part));
  }
  report.traces = opened->counts().traces;
  report.spans = opened->counts().spans;
  report.bytes = opened->bytes_read();
  return {};
}

void MetricsRun::observe_wave(const SpanSnapshot& snapshot, std::span<const std::size_t> groups,
                              std::span<GroupReport> reports) const {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> has_failed{false};
  const auto run_lane = [&](std::size_t /*lane*/) {
    for (;;) {
      const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
      // Groups are drawn in order, so those before a failed one have all been drawn: the first
      // error is the same whoever runs.
      if (i >= groups.size() || has_failed.load(std::memory_order_relaxed)) return;
      auto done = observe_group(snapshot, groups[i], reports[i]);
      if (done) continue;
      reports[i].error = std::move(done).error();
      has_failed.store(true, std::memory_order_relaxed);
    }
  };
  if (engine_.workers == nullptr || groups.size() == 1) {
    run_lane(0);
  } else {
    engine_.workers->parallel_for(std::min(groups.size(), engine_.workers->thread_count() + 1),
                                  run_lane);
  }
}

Result<void> MetricsRun::observe(const SpanSnapshot& snapshot, SearchStatistics& statistics) {
  std::vector<std::size_t> groups;
  const std::span<const GroupBounds> bounds = snapshot.groups();
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    statistics.total_bytes += bounds[i].bytes;
    const bool is_outside = bounds[i].start_ns_max < options_.intervals.start_ns ||
                            bounds[i].start_ns_min > options_.intervals.end_ns;
    if (!is_outside) groups.push_back(i);
  }
  statistics.total_groups = bounds.size();
  statistics.completed_groups = bounds.size() - groups.size();
  const std::size_t lanes = engine_.workers == nullptr ? 1 : engine_.workers->thread_count() + 1;
  const std::size_t wave = lanes * kWavePerLane;
  for (std::size_t first = 0; first < groups.size(); first += wave) {
    const auto drawn = std::span(groups).subspan(first, std::min(wave, groups.size() - first));
    std::vector<GroupReport> reports(drawn.size());
    observe_wave(snapshot, drawn, reports);
    for (GroupReport& report : reports) {
      if (report.error) return std::unexpected(*std::move(report.error));
      for (std::size_t a = 0; a < aggregations_.size(); ++a) {
        GANTRY_CHECK(aggregations_[a]->merge(std::move(report.parts[a]), memory_));
      }
      statistics.inspected_traces += report.traces;
      statistics.inspected_spans += report.spans;
      statistics.inspected_bytes += report.bytes;
      ++statistics.completed_groups;
    }
  }
  return cancel_.check();
}

Result<Operand> MetricsRun::evaluate(const MetricsExpr& expr) {
  Operand result = 0.0;
  if (const auto* number = std::get_if<double>(&expr.node)) {
    result = *number;
  } else if (const auto* binary = std::get_if<MetricsBinary>(&expr.node)) {
    GANTRY_TRY(Operand left, evaluate(*binary->left));
    GANTRY_TRY(Operand right, evaluate(*binary->right));
    result = combine(binary->op, std::move(left), std::move(right));
  } else {
    GANTRY_TRY(result, aggregations_[evaluated_]->finish(memory_));
    aggregations_[evaluated_].reset();
    ++evaluated_;
  }
  if (auto* table = std::get_if<SeriesTable>(&result)) apply_second_stages(*table, expr.second);
  return result;
}

MetricsSeries to_answer(Series series, const Intervals& intervals) {
  MetricsSeries answer{.labels = std::move(series.labels), .samples = {}, .exemplars = {}};
  for (std::uint32_t i = 0; i < series.values.size(); ++i) {
    if (std::isnan(series.values[i])) continue;
    answer.samples.emplace_back(intervals.timestamp_ms(i), series.values[i]);
  }
  answer.exemplars.reserve(series.exemplars.size());
  for (PlacedExemplar& placed : series.exemplars) {
    answer.exemplars.push_back(std::move(placed.exemplar));
  }
  return answer;
}

}  // namespace

}  // namespace metrics

Result<MetricsAnswer> Engine::metrics(const MetricsRequest& request, const SpanSource& source,
                                      const CancelToken& cancel) const {
  if (request.query == nullptr || !request.query->is_metrics()) {
    return fail(Code::InvalidArgument, "not a metrics query");
  }
  const MetricsExpr& expr = *std::get<MetricsPtr>(request.query->node);
  GANTRY_TRY(const metrics::Intervals intervals, metrics::plan_intervals(request));
  metrics::MetricsRun run(
      options_, {.intervals = intervals, .exemplars_max = metrics::exemplar_count(request)},
      cancel);
  run.plan(expr);
  GANTRY_TRY(
      const std::unique_ptr<SpanSnapshot> snapshot,
      source.open(
          {.start_ns = intervals.start_ns, .end_ns = intervals.end_ns, .required = run.required()},
          cancel));
  MetricsAnswer answer;
  GANTRY_CHECK(run.observe(*snapshot, answer.statistics));
  answer.warnings = snapshot->warnings();
  GANTRY_TRY(metrics::Operand result, run.evaluate(expr));
  auto* table = std::get_if<metrics::SeriesTable>(&result);
  if (table == nullptr) return fail(Code::InvalidArgument, "not a metrics query");
  if (request.series_max != 0 && table->size() > request.series_max) {
    table->resize(request.series_max);
    answer.is_truncated = true;
  }
  answer.series.reserve(table->size());
  for (metrics::Series& series : *table) {
    answer.series.push_back(metrics::to_answer(std::move(series), intervals));
  }
  return answer;
}

}  // namespace gantry::traceql
