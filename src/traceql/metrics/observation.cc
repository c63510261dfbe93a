#include "traceql/metrics/observation.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <variant>

#include "traceql/metrics/log2_buckets.h"
#include "traceql/metrics/row_keys.h"

namespace gantry::traceql::metrics {

namespace {

/// Everything about one group that the steps below hand on. Positions are those of `spans`.
struct Observation {
  GroupEvaluator& evaluator;
  const MetricsPipeline& pipeline;
  std::span<const FieldExpr> exemplar_fields;
  const AggregationOptions& options;
  SelectedSpans spans;
  std::vector<double> numbers;           ///< Empty for functions without an argument.
  std::vector<std::uint32_t> exponents;  ///< Empty for functions without buckets.
  std::vector<std::uint32_t> series_slots;

  [[nodiscard]] const MetricsFunction& function() const { return pipeline.function; }
};

/// Powers of two are for integers: marks the spans whose value is a float.
Result<void> drop_floats(Observation& at, std::vector<std::uint8_t>& is_kept) {
  GANTRY_TRY(const DistinctValues distinct,
             at.evaluator.distinct_values(*at.function().attribute, at.spans.set));
  for (std::size_t i = 0; i < at.spans.rows.size(); ++i) {
    const std::uint32_t id = distinct.ids[at.spans.rows[i]];
    if (id == DistinctValues::kNil || distinct.values[id].type == StaticType::Float) {
      is_kept[i] = 0;
    }
  }
  return {};
}

/// Reads the function's argument and keeps the spans that have a number (in a bucket).
Result<void> read_argument(Observation& at) {
  if (!at.function().attribute || at.spans.rows.empty()) return {};
  GANTRY_TRY(const NumberValues values,
             at.evaluator.numbers(*at.function().attribute, at.spans.set));
  const bool is_bucketed = has_buckets(at.function().op);
  const std::size_t count = at.spans.rows.size();
  std::vector<std::uint8_t> is_kept(count, 0);
  std::vector<std::uint32_t> exponents(is_bucketed ? count : 0);
  // Hot: per span.
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t row = at.spans.rows[i];
    if (!values.present.contains(row) || std::isnan(values.numbers[row])) continue;
    if (is_bucketed) {
      const auto exponent = log2_exponent(values.numbers[row]);
      if (!exponent) continue;
      exponents[i] = *exponent;
    }
    is_kept[i] = 1;
  }
  if (is_bucketed && values.has_float) GANTRY_CHECK(drop_floats(at, is_kept));
  for (std::size_t i = 0; i < count; ++i) {
    if (is_kept[i] == 0) continue;
    at.numbers.push_back(values.numbers[at.spans.rows[i]]);
    if (is_bucketed) at.exponents.push_back(exponents[i]);
  }
  at.spans.keep(is_kept);
  return {};
}

/// Gives the spans their series: by() values, then the bucket.
Result<void> assign_series(Observation& at, RowKeys& keys, std::vector<SeriesKey>& series) {
  series.assign(keys.slot_count(), SeriesKey{});
  std::vector<std::uint32_t> ids(at.spans.rows.size());
  for (const Attribute& attribute : at.function().by) {
    GANTRY_TRY(const DistinctValues distinct,
               at.evaluator.distinct_values(attribute, at.spans.set));
    const auto nil = static_cast<std::uint32_t>(distinct.values.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::uint32_t id = distinct.ids[at.spans.rows[i]];
      ids[i] = id == DistinctValues::kNil ? nil : id;
    }
    keys.add(ids, distinct.values.size() + 1);
    std::vector<SeriesKey> longer(keys.slot_count());
    for (std::size_t slot = 0; slot < longer.size(); ++slot) {
      const std::uint32_t id = keys.ids()[slot];
      longer[slot].labels = series[keys.parents()[slot]].labels;
      longer[slot].labels.push_back(id == nil ? Static::nil()
                                              : to_label_value(distinct.values[id]));
    }
    series = std::move(longer);
  }
  if (has_buckets(at.function().op)) {
    keys.add(at.exponents, kLog2ExponentMax + 1);
    std::vector<SeriesKey> bucketed(keys.slot_count());
    for (std::size_t slot = 0; slot < bucketed.size(); ++slot) {
      bucketed[slot].labels = series[keys.parents()[slot]].labels;
      bucketed[slot].exponent = static_cast<std::uint8_t>(keys.ids()[slot]);
    }
    series = std::move(bucketed);
  }
  at.series_slots.assign(keys.slots().begin(), keys.slots().end());
  return {};
}

/// Hot: per span. `cells`: each span's; `into`: by cell.
void count_cells(std::span<const std::uint32_t> cells, std::span<std::uint64_t> into) {
  for (const std::uint32_t cell : cells) ++into[cell];
}

/// Hot: per span. In the order of rows, so that a sum has the same bits every time.
void fold_numbers(Measure measure, std::span<const std::uint32_t> cells,
                  std::span<const double> numbers, std::span<double> into) {
  switch (measure) {
    case Measure::Count:
      return;
    case Measure::Min:
      std::ranges::fill(into, HUGE_VAL);
      for (std::size_t i = 0; i < cells.size(); ++i) {
        into[cells[i]] = std::min(into[cells[i]], numbers[i]);
      }
      return;
    case Measure::Max:
      std::ranges::fill(into, -HUGE_VAL);
      for (std::size_t i = 0; i < cells.size(); ++i) {
        into[cells[i]] = std::max(into[cells[i]], numbers[i]);
      }
      return;
    case Measure::Sum:
      std::ranges::fill(into, 0);
      for (std::size_t i = 0; i < cells.size(); ++i) into[cells[i]] += numbers[i];
      return;
  }
}

void fill_cells(const Observation& at, RowKeys& keys, FunctionPart& part) {
  keys.add(at.spans.intervals, at.options.intervals.count);
  part.cells.resize(keys.slot_count());
  for (std::size_t cell = 0; cell < part.cells.size(); ++cell) {
    part.cells[cell] = {.series = keys.parents()[cell], .interval = keys.ids()[cell]};
  }
  part.counts.assign(part.cells.size(), 0);
  count_cells(keys.slots(), part.counts);
  const Measure measure = measure_of(at.function().op);
  if (measure == Measure::Count) return;
  part.numbers.resize(part.cells.size());
  fold_numbers(measure, keys.slots(), at.numbers, part.numbers);
}

/// The span's own value, as a sample would show it; NaN where exemplars take the sample's.
double exemplar_value(const Observation& at, std::size_t position) {
  const MetricsFunction& function = at.function();
  if (at.numbers.empty() || function.op == MetricsOp::HistogramOverTime) return std::nan("");
  const bool is_seconds =
      function.attribute->intrinsic == Intrinsic::Duration ||
      (has_buckets(function.op) && is_duration_intrinsic(function.attribute->intrinsic));
  return is_seconds ? at.numbers[position] / 1e9 : at.numbers[position];
}

/// One span of each trace, whichever way its rows lie.
Result<std::vector<std::uint32_t>> one_per_trace(const Observation& at) {
  SpanGroup& group = at.evaluator.group();
  GANTRY_TRY(const std::span<const std::uint32_t> traces, group.traces());
  GANTRY_TRY(const std::span<const telemetry::SpanId> span_ids, group.span_ids());
  constexpr std::uint32_t kNone = UINT32_MAX;
  // Ids are mostly random, but some senders count: the product spreads those too.
  const auto rank = [&](std::uint32_t position) {
    return span_ids[at.spans.rows[position]] * std::uint64_t{0x9E3779B97F4A7C15};
  };
  std::vector<std::uint32_t> chosen(group.counts().traces, kNone);
  for (std::uint32_t i = 0; i < at.spans.rows.size(); ++i) {
    std::uint32_t& best = chosen[traces[at.spans.rows[i]]];
    if (best == kNone || rank(i) < rank(best)) best = i;
  }
  std::erase(chosen, kNone);
  return chosen;
}

Result<void> choose_exemplars(const Observation& at, FunctionPart& part) {
  ExemplarChoice choice(at.options.intervals, at.options.exemplars_max);
  if (!choice.keeps_any() || at.spans.rows.empty()) return {};
  SpanGroup& group = at.evaluator.group();
  GANTRY_TRY(const std::vector<std::uint32_t> positions, one_per_trace(at));
  GANTRY_TRY(const std::span<const std::uint32_t> traces, group.traces());
  GANTRY_TRY(const std::span<const telemetry::TraceId> trace_ids, group.trace_ids());
  GANTRY_TRY(const std::span<const std::int64_t> starts, group.starts_ns());
  for (const std::uint32_t i : positions) {
    const std::uint32_t row = at.spans.rows[i];
    const telemetry::TraceId& trace_id = trace_ids[traces[row]];
    choice.offer({.trace_id = trace_id,
                  .rank = exemplar_rank(trace_id),
                  .start_ns = starts[row],
                  .interval = at.spans.intervals[i],
                  .series = at.series_slots[i],
                  .value = exemplar_value(at, i),
                  .row = row,
                  .labels = {}});
  }
  part.exemplars = choice.take();
  for (ExemplarCandidate& exemplar : part.exemplars) {
    exemplar.labels.push_back(
        {.key = "trace:id", .value = Static::of_string(trace_id_text(exemplar.trace_id))});
    for (const FieldExpr& field : at.exemplar_fields) {
      const auto& attribute = std::get<Attribute>(field.node);
      if (attribute.intrinsic == Intrinsic::TraceId) continue;
      GANTRY_TRY(Static value, at.evaluator.value(field, exemplar.row));
      if (value.type == StaticType::Nil) continue;
      exemplar.labels.push_back({.key = attribute.text, .value = to_label_value(std::move(value))});
    }
  }
  return {};
}

}  // namespace

Measure measure_of(MetricsOp op) {
  switch (op) {
    case MetricsOp::MinOverTime:
      return Measure::Min;
    case MetricsOp::MaxOverTime:
      return Measure::Max;
    case MetricsOp::SumOverTime:
    case MetricsOp::AvgOverTime:
      return Measure::Sum;
    case MetricsOp::Rate:
    case MetricsOp::CountOverTime:
    case MetricsOp::QuantileOverTime:
    case MetricsOp::HistogramOverTime:
    case MetricsOp::Compare:
      break;
  }
  return Measure::Count;
}

bool has_buckets(MetricsOp op) {
  return op == MetricsOp::QuantileOverTime || op == MetricsOp::HistogramOverTime;
}

bool is_duration_intrinsic(Intrinsic intrinsic) {
  return intrinsic == Intrinsic::Duration || intrinsic == Intrinsic::TraceDuration ||
         intrinsic == Intrinsic::EventTimeSinceStart;
}

Result<std::unique_ptr<FunctionPart>> observe_function(GroupEvaluator& evaluator,
                                                       const MetricsPipeline& pipeline,
                                                       std::span<const FieldExpr> exemplar_fields,
                                                       const AggregationOptions& options) {
  Observation at{.evaluator = evaluator,
                 .pipeline = pipeline,
                 .exemplar_fields = exemplar_fields,
                 .options = options,
                 .spans = {},
                 .numbers = {},
                 .exponents = {},
                 .series_slots = {}};
  GANTRY_TRY(at.spans, select_spans(evaluator, pipeline.pipeline, options.intervals));
  auto part = std::make_unique<FunctionPart>();
  GANTRY_CHECK(read_argument(at));
  if (at.spans.rows.empty()) return part;
  RowKeys keys(at.spans.rows.size());
  GANTRY_CHECK(assign_series(at, keys, part->series));
  fill_cells(at, keys, *part);
  GANTRY_CHECK(choose_exemplars(at, *part));
  return part;
}

}  // namespace gantry::traceql::metrics
