#include "promql/eval/series_input.h"

#include <algorithm>
#include <memory>

#include "promql/eval/histogram_hints.h"
#include "promql/histogram/size.h"
#include "telemetry/labels.h"
#include "telemetry/metadata_labels.h"
#include "telemetry/sample.h"

namespace gantry::promql::eval {
namespace {

/// What the source could not read, in the words of the engine's callers.
std::unexpected<Error> source_failed(Error error) {
  switch (error.code) {
    case Code::Cancelled:
      error.message = "query was canceled in expression evaluation";
      break;
    case Code::DeadlineExceeded:
      error.message = "query timed out in expression evaluation";
      break;
    case Code::ResourceExhausted:
      break;  // Names the limit already.
    default:
      error.message = "expanding series: " + error.message;
  }
  return std::unexpected(std::move(error));
}

/// What a selector sees at all steps together.
struct SelectedSpan {
  kernels::WindowGrid windows;
  std::size_t steps = 1;

  [[nodiscard]] std::int64_t start_ms() const { return windows.start_ms(0) + 1; }

  [[nodiscard]] std::int64_t end_ms() const { return windows.end_ms(steps - 1); }
};

class SelectedSeries final : public SeriesInput {
 public:
  SelectedSeries(QueryContext& context, std::unique_ptr<SeriesSet> set, const SelectedSpan& span,
                 bool is_name_pinned, bool needs_buckets)
      : set_(std::move(set)),
        labels_(context.labels, *set_),
        span_(span),
        is_name_pinned_(is_name_pinned),
        needs_buckets_(needs_buckets) {}

  [[nodiscard]] std::size_t count() const override { return set_->size(); }

  [[nodiscard]] LabelSetId labels(std::size_t series) override { return labels_.import(series); }

  [[nodiscard]] LabelSetId project(std::size_t series, Projection& projection) override {
    return labels_.project(series, projection);
  }

  [[nodiscard]] bool drops_name(std::size_t /*series*/) const override { return false; }

  [[nodiscard]] bool may_collide_without_name() override {
    return set_->size() > 1 && (!is_name_pinned_ || labels_.has_type_or_unit());
  }

  [[nodiscard]] std::string_view metric_name(std::size_t series) const override {
    return label(series, telemetry::kMetricNameLabel);
  }

  [[nodiscard]] std::string_view type_label(std::size_t series) const override {
    return label(series, telemetry::kTypeLabel);
  }

  Result<void> read(std::size_t series, SampleColumns& out) const override {
    Result<void> result = set_->read(series, span_.start_ms(), span_.end_ms(), out);
    if (!result) return source_failed(std::move(result).error());
    if (!needs_buckets_) reduce_to_statistics(span_.windows, span_.steps, out);
    return result;
  }

 private:
  [[nodiscard]] std::string_view label(std::size_t series, std::string_view name) const {
    for (const LabelSymbols label : set_->labels(series)) {
      if (set_->symbol(label.name) == name) return set_->symbol(label.value);
    }
    return {};
  }

  std::unique_ptr<SeriesSet> set_;
  SourceLabels labels_;
  SelectedSpan span_;
  bool is_name_pinned_;
  bool needs_buckets_;
};

/// A sub-query repeats samples and leaves samples out: what they said of their neighbours does not
/// hold between its points.
HistogramPtr without_reset_hint(const HistogramPtr& histogram) {
  using telemetry::CounterResetHint;
  const bool has_hint =
      histogram->hint == CounterResetHint::Reset || histogram->hint == CounterResetHint::NotReset;
  if (!has_hint) return histogram;
  auto copy = std::make_shared<telemetry::FloatHistogram>(*histogram);
  copy->hint = CounterResetHint::Unknown;
  return copy;
}

class MatrixSeries final : public SeriesInput {
 public:
  MatrixSeries(QueryContext& context, Matrix matrix, const Grid& grid)
      : context_(context), matrix_(std::move(matrix)), grid_(grid) {
    names_.reserve(matrix_.count());
    types_.reserve(matrix_.count());
    for (const LabelSetId labels : matrix_.labels) {
      names_.push_back(context_.labels.name_of(labels));
      types_.push_back(context_.labels.type_of(labels));
    }
  }

  [[nodiscard]] std::size_t count() const override { return matrix_.count(); }

  [[nodiscard]] LabelSetId labels(std::size_t series) override { return matrix_.labels[series]; }

  [[nodiscard]] LabelSetId project(std::size_t series, Projection& projection) override {
    return projection.apply(context_.labels, matrix_.labels[series]);
  }

  [[nodiscard]] bool drops_name(std::size_t series) const override {
    return matrix_.drops_name[series] != 0;
  }

  [[nodiscard]] bool may_collide_without_name() override { return matrix_.count() > 1; }

  [[nodiscard]] std::string_view metric_name(std::size_t series) const override {
    return names_[series];
  }

  [[nodiscard]] std::string_view type_label(std::size_t series) const override {
    return types_[series];
  }

  Result<void> read(std::size_t series, SampleColumns& out) const override {
    out.clear();
    const std::span<const double> values = matrix_.rows.row(series);
    for_each_bit(matrix_.rows.bits(series), [&](std::size_t step) {
      out.timestamps_ms.push_back(grid_.time_ms(step));
      out.values.push_back(values[step]);
    });
    const HistogramRow& histograms = matrix_.rows.histograms(series);
    for (std::size_t step = 0; step < histograms.size(); ++step) {
      if (histograms[step] == nullptr) continue;
      out.histograms.push_back({.timestamp_ms = grid_.time_ms(step),
                                .start_timestamp_ms = 0,
                                .histogram = without_reset_hint(histograms[step])});
    }
    return {};
  }

 private:
  QueryContext& context_;
  Matrix matrix_;
  Grid grid_;
  std::vector<std::string_view> names_;  ///< Of the label table's arena.
  std::vector<std::string_view> types_;  ///< Likewise.
};

}  // namespace

kernels::WindowGrid window_grid(const QueryContext& context, const Grid& grid,
                                const TimeModifiers& time, std::int64_t range_ms) {
  kernels::WindowGrid windows{.first_end_ms = grid.start_ms - time.offset_ms,
                              .step_ms = grid.step_ms,
                              .range_ms = range_ms};
  switch (time.at) {
    case AtKind::None:
      return windows;
    case AtKind::Timestamp:
      windows.first_end_ms = time.at_ms - time.offset_ms;
      break;
    case AtKind::Start:
      windows.first_end_ms = context.query_start_ms - time.offset_ms;
      break;
    case AtKind::End:
      windows.first_end_ms = context.query_end_ms - time.offset_ms;
      break;
  }
  windows.step_ms = 0;
  return windows;
}

Result<SeriesInputPtr> select_series(QueryContext& context, const VectorSelector& selector,
                                     const kernels::WindowGrid& windows, std::size_t steps,
                                     std::string_view within, std::int64_t range_hint_ms) {
  GANTRY_CHECK(context.check());
  const SelectedSpan span{.windows = windows, .steps = steps};
  const SelectRequest request{
      .matchers = selector.matchers,
      .start_ms = span.start_ms(),
      .end_ms = span.end_ms(),
      .hints = {.step_ms = windows.step_ms, .range_ms = range_hint_ms, .function = within},
      .series_limit = 0,
      .truncate = false};
  Result<std::unique_ptr<SeriesSet>> selected = context.source.select(request, context.cancel);
  if (!selected) return source_failed(std::move(selected).error());
  std::unique_ptr<SeriesSet> set = *std::move(selected);
  for (std::string& warning : set->warnings()) {
    if (std::ranges::find(context.source_warnings, warning) == context.source_warnings.end()) {
      context.source_warnings.push_back(std::move(warning));
    }
  }
  const bool is_name_pinned = std::ranges::any_of(selector.matchers, [](const Matcher& matcher) {
    return matcher.op() == MatchOp::Equal && matcher.name() == telemetry::kMetricNameLabel;
  });
  return std::make_unique<SelectedSeries>(context, std::move(set), span, is_name_pinned,
                                          !context.statistics_only.contains(&selector));
}

SeriesInputPtr make_matrix_input(QueryContext& context, Matrix matrix, const Grid& grid) {
  return std::make_unique<MatrixSeries>(context, std::move(matrix), grid);
}

bool is_stale_histogram(const telemetry::FloatHistogram& histogram) {
  return telemetry::is_stale_nan(histogram.sum);
}

std::uint64_t count_samples(const SampleColumns& columns) {
  std::uint64_t samples = columns.values.size();
  for (const SampleColumns::HistogramPoint& point : columns.histograms) {
    samples += histogram::count_samples(*point.histogram);
  }
  return samples;
}

std::uint64_t histogram_bytes(const SampleColumns& columns) {
  std::uint64_t bytes = 0;
  for (const SampleColumns::HistogramPoint& point : columns.histograms) {
    bytes += sizeof(point) + histogram::size_bytes(*point.histogram);
  }
  return bytes;
}

namespace {

/// Index of the first stale marker, or the size. Hot: whole chunks are looked at without a branch.
std::size_t find_stale(std::span<const double> values) {
  constexpr std::size_t kChunk = 64;
  std::size_t i = 0;
  for (; i + kChunk <= values.size(); i += kChunk) {
    bool is_any_stale = false;
    for (const double value : values.subspan(i, kChunk)) {
      is_any_stale |= telemetry::is_stale_nan(value);
    }
    if (is_any_stale) break;
  }
  while (i < values.size() && !telemetry::is_stale_nan(values[i])) ++i;
  return i;
}

}  // namespace

void remove_stale_markers(SampleColumns& columns) {
  std::size_t kept = find_stale(columns.values);
  const bool has_starts = !columns.start_timestamps_ms.empty();
  for (std::size_t i = kept; i < columns.values.size(); ++i) {
    if (telemetry::is_stale_nan(columns.values[i])) continue;
    columns.values[kept] = columns.values[i];
    columns.timestamps_ms[kept] = columns.timestamps_ms[i];
    if (has_starts) columns.start_timestamps_ms[kept] = columns.start_timestamps_ms[i];
    ++kept;
  }
  columns.values.resize(kept);
  columns.timestamps_ms.resize(kept);
  if (has_starts) columns.start_timestamps_ms.resize(kept);
  std::erase_if(columns.histograms, [](const SampleColumns::HistogramPoint& point) {
    return is_stale_histogram(*point.histogram);
  });
}

}  // namespace gantry::promql::eval
