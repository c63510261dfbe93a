#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "traceql/metrics/aggregation.h"
#include "traceql/metrics/log2_buckets.h"
#include "traceql/metrics/observation.h"

namespace gantry::traceql::metrics {

namespace {

constexpr double kNoSample = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint64_t kSeriesOverheadBytes = 256;  ///< Labels, keys, table entries.

/// A series over all intervals.
struct MergedSeries {
  SeriesKey key;
  std::vector<std::uint64_t> counts;
  std::vector<double> numbers;  ///< Of Min, Max and Sum.
};

std::string key_bytes(const SeriesKey& key) {
  std::string bytes(1, static_cast<char>(key.exponent));
  for (const Static& label : key.labels) append_key(bytes, label);
  return bytes;
}

void merge_number(Measure measure, double& into, double number) {
  switch (measure) {
    case Measure::Count:
      return;
    case Measure::Min:
      into = std::min(into, number);
      return;
    case Measure::Max:
      into = std::max(into, number);
      return;
    case Measure::Sum:
      into += number;
      return;
  }
}

double neutral_number(Measure measure) {
  switch (measure) {
    case Measure::Min:
      return HUGE_VAL;
    case Measure::Max:
      return -HUGE_VAL;
    case Measure::Count:
    case Measure::Sum:
      break;
  }
  return 0;
}

class FunctionAggregation final : public Aggregation {
 public:
  FunctionAggregation(const MetricsPipeline& pipeline, const AggregationOptions& options)
      : pipeline_(pipeline),
        exemplar_fields_(fields_of(pipeline)),
        options_(options),
        measure_(measure_of(pipeline.function.op)),
        choice_(options.intervals, options.exemplars_max) {}

  Result<std::unique_ptr<Part>> observe(GroupEvaluator& evaluator) const override {
    GANTRY_TRY(std::unique_ptr<Part> part,
               observe_function(evaluator, pipeline_, exemplar_fields_, options_));
    return part;
  }

  Result<void> merge(std::unique_ptr<Part> part, MemoryAccount& memory) override;
  Result<SeriesTable> finish(MemoryAccount& memory) override;

 private:
  [[nodiscard]] const MetricsFunction& function() const { return pipeline_.function; }

  [[nodiscard]] std::uint32_t interval_count() const { return options_.intervals.count; }

  [[nodiscard]] std::uint64_t series_bytes() const {
    const std::uint64_t cell = measure_ == Measure::Count ? 8 : 16;
    return (cell * interval_count()) + kSeriesOverheadBytes;
  }

  Result<std::uint32_t> find_or_add(SeriesKey key, MemoryAccount& memory);
  [[nodiscard]] std::vector<NamedValue> labels_of(const SeriesKey& key) const;
  [[nodiscard]] std::vector<double> samples_of(const MergedSeries& series) const;
  [[nodiscard]] double bucket_bound(std::uint8_t exponent) const;
  Result<SeriesTable> finish_plain(MemoryAccount& memory);
  Result<SeriesTable> finish_quantiles(MemoryAccount& memory);
  void attach(SeriesTable& table, std::size_t series, ExemplarCandidate candidate) const;

  const MetricsPipeline& pipeline_;
  std::vector<FieldExpr> exemplar_fields_;
  AggregationOptions options_;
  Measure measure_;
  ExemplarChoice choice_;
  std::vector<MergedSeries> series_;
  std::unordered_map<std::string, std::uint32_t> by_key_;
};

Result<std::uint32_t> FunctionAggregation::find_or_add(SeriesKey key, MemoryAccount& memory) {
  const bool has_label = key.exponent != 0 || std::ranges::any_of(key.labels, [](const Static& v) {
                           return v.type != StaticType::Nil;
                         });
  // A series must have a label to be told from the ungrouped one.
  if (!has_label && !key.labels.empty()) key.labels.front() = Static::of_string("nil");
  std::string bytes = key_bytes(key);
  const auto known = by_key_.find(bytes);
  if (known != by_key_.end()) return known->second;
  GANTRY_CHECK(memory.take(series_bytes(), series_.size() + 1, interval_count()));
  const auto index = static_cast<std::uint32_t>(series_.size());
  by_key_.emplace(std::move(bytes), index);
  MergedSeries series{.key = std::move(key),
                      .counts = std::vector<std::uint64_t>(interval_count(), 0),
                      .numbers = {}};
  if (measure_ != Measure::Count) series.numbers.assign(interval_count(), neutral_number(measure_));
  series_.push_back(std::move(series));
  return index;
}

Result<void> FunctionAggregation::merge(std::unique_ptr<Part> part, MemoryAccount& memory) {
  auto& from = static_cast<FunctionPart&>(*part);
  std::vector<std::uint32_t> index_of(from.series.size());
  for (std::size_t i = 0; i < from.series.size(); ++i) {
    GANTRY_TRY(index_of[i], find_or_add(std::move(from.series[i]), memory));
  }
  for (std::size_t c = 0; c < from.cells.size(); ++c) {
    const Cell& cell = from.cells[c];
    MergedSeries& into = series_[index_of[cell.series]];
    into.counts[cell.interval] += from.counts[c];
    if (measure_ != Measure::Count) {
      merge_number(measure_, into.numbers[cell.interval], from.numbers[c]);
    }
  }
  for (ExemplarCandidate& exemplar : from.exemplars) {
    exemplar.series = index_of[exemplar.series];
    choice_.offer(std::move(exemplar));
  }
  return {};
}

std::vector<NamedValue> FunctionAggregation::labels_of(const SeriesKey& key) const {
  std::vector<NamedValue> labels;
  for (std::size_t i = 0; i < key.labels.size(); ++i) {
    if (key.labels[i].type == StaticType::Nil) continue;
    labels.push_back({.key = function().by[i].text, .value = key.labels[i]});
  }
  if (function().by.empty() && !has_buckets(function().op)) {
    labels.push_back({.key = kMetricNameLabel,
                      .value = Static::of_string(std::string(metrics_op_text(function().op)))});
  }
  return labels;
}

double FunctionAggregation::bucket_bound(std::uint8_t exponent) const {
  const double bound = log2_bound(exponent);
  return is_duration_intrinsic(function().attribute->intrinsic) ? bound / 1e9 : bound;
}

std::vector<double> FunctionAggregation::samples_of(const MergedSeries& series) const {
  std::vector<double> samples(interval_count(), kNoSample);
  const bool is_rate = function().op == MetricsOp::Rate;
  const bool is_average = function().op == MetricsOp::AvgOverTime;
  const double unit =
      function().attribute && function().attribute->intrinsic == Intrinsic::Duration ? 1e9 : 1;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto count = static_cast<double>(series.counts[i]);
    if (measure_ == Measure::Count) {
      samples[i] = is_rate ? count / options_.intervals.step_seconds() : count;
    } else if (series.counts[i] != 0) {
      samples[i] = (is_average ? series.numbers[i] / count : series.numbers[i]) / unit;
    }
  }
  return samples;
}

void FunctionAggregation::attach(SeriesTable& table, std::size_t series,
                                 ExemplarCandidate candidate) const {
  Series& into = table[series];
  const double value =
      std::isnan(candidate.value) ? into.values[candidate.interval] : candidate.value;
  into.exemplars.push_back({.exemplar = {.labels = std::move(candidate.labels),
                                         .value = value,
                                         .timestamp_ms = candidate.start_ns / 1'000'000},
                            .interval = candidate.interval});
}

Result<SeriesTable> FunctionAggregation::finish_plain(MemoryAccount& memory) {
  if (series_.empty() && measure_ == Measure::Count && function().by.empty() &&
      !has_buckets(function().op)) {
    // rate() of nothing is 0, not unknown.
    GANTRY_CHECK(find_or_add({}, memory));
  }
  SeriesTable table;
  table.reserve(series_.size());
  for (MergedSeries& merged : series_) {
    GANTRY_CHECK(
        memory.take(std::uint64_t{8} * interval_count(), series_.size(), interval_count()));
    Series series{.labels = labels_of(merged.key), .values = samples_of(merged), .exemplars = {}};
    if (merged.key.exponent != 0) {
      series.labels.push_back(
          {.key = "__bucket", .value = Static::of_float(bucket_bound(merged.key.exponent))});
    }
    table.push_back(std::move(series));
    merged = {};
    memory.give_back(series_bytes());
  }
  for (ExemplarCandidate& candidate : choice_.take()) {
    const std::size_t series = candidate.series;
    attach(table, series, std::move(candidate));
  }
  return table;
}

Result<SeriesTable> FunctionAggregation::finish_quantiles(MemoryAccount& memory) {
  // The buckets of one series, ascending; series in order of their keys.
  std::map<std::string, std::vector<std::uint32_t>> buckets_by_key;
  for (std::uint32_t i = 0; i < series_.size(); ++i) {
    SeriesKey key = series_[i].key;
    key.exponent = 0;
    buckets_by_key[key_bytes(key)].push_back(i);
  }
  const std::size_t quantile_count = function().quantiles.size();
  SeriesTable table;
  std::vector<std::size_t> first_of(series_.size());  // By bucket series: its first quantile.
  std::vector<Log2Bucket> buckets;
  for (auto& [key, members] : buckets_by_key) {
    std::ranges::sort(members, {}, [&](std::uint32_t i) { return series_[i].key.exponent; });
    GANTRY_CHECK(memory.take(std::uint64_t{8} * interval_count() * quantile_count,
                             buckets_by_key.size() * quantile_count, interval_count()));
    const std::size_t first = table.size();
    for (const std::uint32_t i : members) first_of[i] = first;
    for (const double p : function().quantiles) {
      Series series{.labels = labels_of(series_[members.front()].key),
                    .values = std::vector<double>(interval_count()),
                    .exemplars = {}};
      series.labels.push_back({.key = "p", .value = Static::of_float(p)});
      table.push_back(std::move(series));
    }
    for (std::uint32_t interval = 0; interval < interval_count(); ++interval) {
      buckets.clear();
      for (const std::uint32_t i : members) {
        const std::uint64_t count = series_[i].counts[interval];
        if (count != 0) buckets.push_back({.exponent = series_[i].key.exponent, .count = count});
      }
      for (std::size_t q = 0; q < quantile_count; ++q) {
        const double estimate = log2_quantile(function().quantiles[q], buckets);
        table[first + q].values[interval] =
            is_duration_intrinsic(function().attribute->intrinsic) ? estimate / 1e9 : estimate;
      }
    }
  }
  for (ExemplarCandidate& candidate : choice_.take()) {
    std::size_t nearest = first_of[candidate.series];
    const auto distance = [&](std::size_t s) {
      return std::abs(table[s].values[candidate.interval] - candidate.value);
    };
    for (std::size_t q = 1; q < quantile_count; ++q) {
      const std::size_t other = first_of[candidate.series] + q;
      if (distance(other) < distance(nearest)) nearest = other;
    }
    attach(table, nearest, std::move(candidate));
  }
  return table;
}

Result<SeriesTable> FunctionAggregation::finish(MemoryAccount& memory) {
  GANTRY_TRY(SeriesTable table, function().op == MetricsOp::QuantileOverTime
                                    ? finish_quantiles(memory)
                                    : finish_plain(memory));
  drop_empty(table);
  sort_series(table);
  return table;
}

}  // namespace

std::unique_ptr<Aggregation> make_function_aggregation(const MetricsPipeline& pipeline,
                                                       const AggregationOptions& options) {
  return std::make_unique<FunctionAggregation>(pipeline, options);
}

}  // namespace gantry::traceql::metrics
