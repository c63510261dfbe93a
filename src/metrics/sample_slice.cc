#include "metrics/sample_slice.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/hash.h"
#include "promql/matcher.h"
#include "telemetry/labels.h"
#include "telemetry/series_group.h"

namespace gantry::metrics {
namespace {

using promql::SampleColumns;
using promql::SeriesSet;

constexpr std::size_t kSampleBytes = 20;
constexpr std::size_t kHistogramBytes = 100;
constexpr std::size_t kBucketBytes = 8;
/// Of a series and slice; the newest.
constexpr std::size_t kExemplarsMax = 256;

/// Half open.
struct Window {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
};

struct Entry {
  std::uint64_t group = 0;
  std::uint32_t series = 0;  ///< Of the set.

  friend auto operator<=>(const Entry&, const Entry&) = default;
};

Result<promql::Matcher> has_a_name() {
  return promql::Matcher::make(promql::MatchOp::NotEqual, std::string(telemetry::kMetricNameLabel),
                               "");
}

Result<std::unique_ptr<SeriesSet>> select(const promql::SeriesSource& source, Window window,
                                          std::size_t series_max, const CancelToken& cancel) {
  GANTRY_TRY(const promql::Matcher has_name, has_a_name());
  const std::array<promql::Matcher, 1> all = {has_name};
  return source.select({.matchers = all,
                        .start_ms = window.start_ms,
                        .end_ms = window.end_ms - 1,
                        .hints = {},
                        .series_limit = series_max,
                        .truncate = series_max > 0},
                       cancel);
}

Result<bool> has_samples(const promql::SeriesSource& source, Window window,
                         const CancelToken& cancel) {
  GANTRY_TRY(const auto set, select(source, window, 1, cancel));
  return set->size() > 0;
}

/// By halves: a range may begin years before the first sample.
Result<Window> find_first(const promql::SeriesSource& source, const SampleSliceRequest& request,
                          const CancelToken& cancel) {
  const std::int64_t start = request.after.slice_ms;
  const std::int64_t step = request.slice_ms_max;
  const auto up_to = [&](std::int64_t slices) {
    return Window{.start_ms = start, .end_ms = std::min(request.end_ms, start + slices * step)};
  };
  std::int64_t empty = 0;
  std::int64_t filled = 1;
  GANTRY_TRY(const bool is_next, has_samples(source, up_to(1), cancel));
  if (!is_next) {
    filled = (request.end_ms - start + step - 1) / step;
    GANTRY_TRY(const bool is_any, has_samples(source, up_to(filled), cancel));
    if (!is_any) return Window{.start_ms = request.end_ms, .end_ms = request.end_ms};
    empty = 1;
  }
  while (filled - empty > 1) {
    const std::int64_t middle = empty + (filled - empty) / 2;
    GANTRY_TRY(const bool is_before, has_samples(source, up_to(middle), cancel));
    (is_before ? filled : empty) = middle;
  }
  return Window{.start_ms = start + empty * step, .end_ms = up_to(filled).end_ms};
}

std::uint64_t group_of(const SeriesSet& set, std::size_t series) {
  telemetry::SeriesGroup group;
  for (const promql::LabelSymbols& label : set.labels(series))
    group.add(set.symbol(label.name), set.symbol(label.value));
  // State databases have signed integers, and 0 is before all.
  return std::max<std::uint64_t>(group.value() >> 1, 1);
}

std::vector<Entry> entries_of(const SeriesSet& set) {
  std::vector<Entry> entries;
  entries.reserve(set.size());
  for (std::uint32_t i = 0; i < set.size(); ++i)
    entries.push_back({.group = group_of(set, i), .series = i});
  std::ranges::sort(entries);
  return entries;
}

telemetry::MetricType type_of(std::string_view name) {
  using enum telemetry::MetricType;
  for (const auto type : {Counter, Gauge, Histogram, GaugeHistogram, Summary, Info, StateSet})
    if (telemetry::metric_type_name(type) == name) return type;
  return Unknown;
}

std::size_t bytes_of(const telemetry::FloatHistogram& histogram) {
  return kHistogramBytes +
         kBucketBytes * (histogram.positive_counts.size() + histogram.negative_counts.size() +
                         histogram.custom_values.size());
}

/// The same for equal labels of this process.
class SeriesKey {
 public:
  void add(std::string_view name, std::string_view value) {
    key_ = {.high = core::hash64(value, core::hash64(name, key_.high)),
            .low = core::hash64(value, core::hash64(name, key_.low))};
  }

  [[nodiscard]] const core::Hash128& value() const { return key_; }

 private:
  core::Hash128 key_{.high = core::process_hash_seed(), .low = ~core::process_hash_seed()};
};

/// Those of a slice, by the series.
using SliceExemplars = std::map<core::Hash128, std::vector<promql::ExemplarSeries::Point>>;

Result<SliceExemplars> exemplars_of(const promql::SeriesSource& source, Window window,
                                    const CancelToken& cancel) {
  GANTRY_TRY(promql::Matcher has_name, has_a_name());
  const std::vector<std::vector<promql::Matcher>> all = {{std::move(has_name)}};
  GANTRY_TRY(std::vector<promql::ExemplarSeries> found,
             source.exemplars(all, window.start_ms, window.end_ms - 1, cancel));
  SliceExemplars exemplars;
  for (promql::ExemplarSeries& series : found) {
    SeriesKey key;
    for (const auto& [name, value] : series.labels) key.add(name, value);
    const std::size_t count = series.points.size();
    if (count > kExemplarsMax)
      series.points.erase(
          series.points.begin(),
          series.points.begin() + static_cast<std::ptrdiff_t>(count - kExemplarsMax));
    exemplars[key.value()] = std::move(series.points);
  }
  return exemplars;
}

class SetSlice final : public SampleSlice, private telemetry::SeriesResolver {
 public:
  SetSlice(Window window, std::unique_ptr<SeriesSet> set, SliceExemplars exemplars,
           DescribeFamily describe)
      : window_(window),
        set_(std::move(set)),
        exemplars_(std::move(exemplars)),
        describe_(std::move(describe)) {
    if (set_) entries_ = entries_of(*set_);
  }

  Result<SamplePage> read(const SamplePosition& after, std::size_t bytes_max,
                          const CancelToken& cancel, telemetry::MetricBatch& batch) override {
    batch.clear();
    batch.resolver = this;
    shown_.clear();
    families_.clear();
    texts_.clear();
    const std::uint64_t begin = after.slice_ms == window_.start_ms ? after.group : 0;
    auto entry = std::ranges::upper_bound(entries_, begin, {}, &Entry::group);
    std::uint64_t last = begin;
    for (std::size_t bytes = 0; entry != entries_.end(); ++entry) {
      if (bytes >= bytes_max && entry->group != last) break;
      GANTRY_CHECK(cancel.check());
      GANTRY_TRY(const std::size_t added, add(entry->series, batch));
      bytes += added;
      last = entry->group;
    }
    if (entry == entries_.end())
      return SamplePage{.last = {.slice_ms = window_.end_ms}, .is_last = true};
    return SamplePage{.last = {.slice_ms = window_.start_ms, .group = last}};
  }

 private:
  Result<void> resolve(std::uint32_t series, core::Arena& /*arena*/,
                       std::vector<telemetry::LabelView>& labels) const override {
    for (const promql::LabelSymbols& label : set_->labels(shown_.at(series)))
      labels.push_back({.name = set_->symbol(label.name), .value = set_->symbol(label.value)});
    return {};
  }

  /// The bytes of what came.
  Result<std::size_t> add(std::uint32_t series, telemetry::MetricBatch& batch) {
    GANTRY_CHECK(set_->read(series, window_.start_ms, window_.end_ms - 1, columns_));
    if (columns_.timestamps_ms.empty() && columns_.histograms.empty()) return std::size_t{0};
    const auto index = static_cast<std::uint32_t>(batch.series.size());
    std::size_t bytes = 0;
    SeriesKey key;
    for (const promql::LabelSymbols& label : set_->labels(series)) {
      const std::string_view name = set_->symbol(label.name);
      const std::string_view value = set_->symbol(label.value);
      key.add(name, value);
      bytes += name.size() + value.size();
      if (name == telemetry::kMetricNameLabel) describe(value, batch);
    }
    batch.series.push_back({.key = key.value()});
    shown_.push_back(series);
    add_samples(index, batch);
    bytes += add_exemplars(index, key.value(), batch);
    for (const SampleColumns::HistogramPoint& point : columns_.histograms) {
      batch.histograms.push_back({.series = index,
                                  .timestamp_ms = point.timestamp_ms,
                                  .start_timestamp_ms = point.start_timestamp_ms,
                                  .histogram = *point.histogram});
      bytes += bytes_of(*point.histogram);
    }
    return bytes + kSampleBytes * columns_.timestamps_ms.size();
  }

  void add_samples(std::uint32_t index, telemetry::MetricBatch& batch) const {
    const std::size_t before = batch.samples.size();
    for (std::size_t i = 0; i < columns_.timestamps_ms.size(); ++i)
      batch.samples.push_back({.series = index,
                               .timestamp_ms = columns_.timestamps_ms[i],
                               .value = columns_.values[i]});
    const std::vector<std::int64_t>& starts = columns_.start_timestamps_ms;
    if (starts.empty() && batch.start_timestamps_ms.empty()) return;
    batch.start_timestamps_ms.resize(batch.samples.size(), 0);
    std::ranges::copy(starts,
                      batch.start_timestamps_ms.begin() + static_cast<std::ptrdiff_t>(before));
  }

  /// The bytes of what came.
  std::size_t add_exemplars(std::uint32_t index, const core::Hash128& key,
                            telemetry::MetricBatch& batch) const {
    const auto found = exemplars_.find(key);
    if (found == exemplars_.end()) return 0;
    std::size_t bytes = 0;
    for (const promql::ExemplarSeries::Point& point : found->second) {
      telemetry::Exemplar& exemplar = batch.exemplars.emplace_back();
      exemplar.series = index;
      exemplar.timestamp_ms = point.timestamp_ms;
      exemplar.value = point.value;
      bytes += kSampleBytes;
      for (const auto& [name, value] : point.labels) {
        exemplar.labels.push_back({.name = name, .value = value});
        bytes += name.size() + value.size();
      }
    }
    return bytes;
  }

  /// Those of a histogram are under its name without a suffix, those of a counter mostly with it.
  void describe(std::string_view name, telemetry::MetricBatch& batch) {
    describe_family(name, batch);
    for (const std::string_view suffix : {"_bucket", "_sum", "_count", "_total"})
      if (name.ends_with(suffix))
        describe_family(name.substr(0, name.size() - suffix.size()), batch);
  }

  void describe_family(std::string_view family, telemetry::MetricBatch& batch) {
    if (!describe_ || !families_.insert(family).second) return;
    for (MetadataEntry& entry : describe_(family)) {
      const std::string& help = texts_.emplace_back(std::move(entry.help));
      const std::string& unit = texts_.emplace_back(std::move(entry.unit));
      batch.metadata.push_back(
          {.family = family, .type = type_of(entry.type), .help = help, .unit = unit});
    }
  }

  const Window window_;
  const std::unique_ptr<SeriesSet> set_;  ///< Null: there are no samples.
  const SliceExemplars exemplars_;
  const DescribeFamily describe_;
  std::vector<Entry> entries_;
  SampleColumns columns_;

  // Of the page.
  std::vector<std::uint32_t> shown_;     ///< Series of the set, by that of the batch.
  std::set<std::string_view> families_;  ///< Views of the set's symbols.
  std::deque<std::string> texts_;
};

}  // namespace

Result<std::unique_ptr<SampleSlice>> open_sample_slice(const promql::SeriesSource& source,
                                                       DescribeFamily describe,
                                                       const SampleSliceRequest& request,
                                                       const CancelToken& cancel) {
  GANTRY_TRY(const Window window, find_first(source, request, cancel));
  std::unique_ptr<SeriesSet> set;
  SliceExemplars exemplars;
  if (window.start_ms < window.end_ms) {
    GANTRY_TRY(set, select(source, window, 0, cancel));
    GANTRY_TRY(exemplars, exemplars_of(source, window, cancel));
  }
  return std::make_unique<SetSlice>(window, std::move(set), std::move(exemplars),
                                    std::move(describe));
}

}  // namespace gantry::metrics
