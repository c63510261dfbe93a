#include "promql/testing/memory_source.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "promql/testing/histogram_chunks.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

struct LabelsLess {
  bool operator()(const telemetry::Labels& a, const telemetry::Labels& b) const {
    return telemetry::compare_labels(a, b) < 0;
  }
};

struct Series {
  std::vector<LabelSymbols> symbols;
  std::map<std::int64_t, Sample> written;  ///< As appended, by time.
  std::vector<Sample> samples;             ///< As read back.
};

/// What a store makes of the samples of a series: see HistogramChunks.
std::vector<Sample> read_back(const std::map<std::int64_t, Sample>& written) {
  std::vector<Sample> samples;
  HistogramChunks chunks;
  bool is_after_histogram = false;
  for (const auto& [time, original] : written) {
    Sample sample = original;
    if (is_after_histogram && !sample.histogram && telemetry::is_stale_nan(sample.value)) {
      telemetry::FloatHistogram marker;
      marker.sum = telemetry::stale_nan();
      sample.histogram = std::make_shared<const telemetry::FloatHistogram>(std::move(marker));
    }
    is_after_histogram = sample.histogram != nullptr;
    if (sample.histogram) {
      auto histogram = *sample.histogram;
      histogram.hint = chunks.next(histogram);
      sample.histogram = std::make_shared<const telemetry::FloatHistogram>(std::move(histogram));
    } else {
      chunks.cut();
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::pair<std::vector<Sample>::const_iterator, std::vector<Sample>::const_iterator> between(
    const std::vector<Sample>& samples, std::int64_t start_ms, std::int64_t end_ms) {
  return {std::ranges::lower_bound(samples, start_ms, {}, &Sample::timestamp_ms),
          std::ranges::upper_bound(samples, end_ms, {}, &Sample::timestamp_ms)};
}

bool matches_all(const telemetry::Labels& labels, std::span<const Matcher> matchers) {
  return std::ranges::all_of(matchers, [&labels](const Matcher& matcher) {
    return matcher.matches(telemetry::find_label(labels, matcher.name()));
  });
}

Result<LabelStrings> limit_strings(const std::set<std::string, std::less<>>& strings,
                                   std::size_t limit) {
  LabelStrings result;
  for (const auto& text : strings) {
    if (limit != 0 && result.values.size() == limit) {
      result.is_truncated = true;
      break;
    }
    result.values.push_back(text);
  }
  return result;
}

}  // namespace

struct MemorySource::Data {
  std::map<telemetry::Labels, Series, LabelsLess> series;
  std::deque<std::string> symbols;
  std::unordered_map<std::string, std::uint32_t> symbol_ids;

  std::uint32_t intern(const std::string& text) {
    const auto [found, is_new] =
        symbol_ids.try_emplace(text, static_cast<std::uint32_t>(symbols.size()));
    if (is_new) symbols.push_back(text);
    return found->second;
  }

  template <class Visit>
  void for_each_match(std::span<const Matcher> matchers, std::int64_t start_ms, std::int64_t end_ms,
                      Visit visit) const {
    for (const auto& [labels, one] : series) {
      const auto [first, last] = between(one.samples, start_ms, end_ms);
      if (first != last && matches_all(labels, matchers)) visit(labels, one);
    }
  }
};

class MemorySource::Set final : public SeriesSet {
 public:
  explicit Set(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

  void add(const Series& series) { series_.push_back(&series); }

  void truncate() { is_truncated_ = true; }

  [[nodiscard]] std::size_t size() const override { return series_.size(); }

  [[nodiscard]] std::span<const LabelSymbols> labels(std::size_t series) const override {
    return series_[series]->symbols;
  }

  [[nodiscard]] std::string_view symbol(std::uint32_t id) const override {
    return data_->symbols[id];
  }

  Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                    SampleColumns& out) const override {
    out.timestamps_ms.clear();
    out.values.clear();
    out.start_timestamps_ms.clear();
    out.histograms.clear();
    bool has_start = false;
    const auto [first, last] = between(series_[series]->samples, start_ms, end_ms);
    for (auto sample = first; sample != last; ++sample) {
      if (sample->histogram) {
        out.histograms.push_back({.timestamp_ms = sample->timestamp_ms,
                                  .start_timestamp_ms = sample->start_timestamp_ms,
                                  .histogram = sample->histogram});
        continue;
      }
      out.timestamps_ms.push_back(sample->timestamp_ms);
      out.values.push_back(sample->value);
      out.start_timestamps_ms.push_back(sample->start_timestamp_ms);
      has_start = has_start || sample->start_timestamp_ms != 0;
    }
    if (!has_start) out.start_timestamps_ms.clear();
    return {};
  }

  [[nodiscard]] bool is_truncated() const override { return is_truncated_; }

 private:
  std::shared_ptr<const Data> data_;
  std::vector<const Series*> series_;
  bool is_truncated_ = false;
};

MemorySource::MemorySource() : data_(std::make_shared<Data>()) {}

MemorySource::~MemorySource() = default;

void MemorySource::append(const telemetry::Labels& labels, std::span<const Sample> samples) {
  if (data_.use_count() > 1) data_ = std::make_shared<Data>(*data_);
  const auto [found, is_new] = data_->series.try_emplace(labels);
  Series& series = found->second;
  for (std::size_t i = 0; is_new && i < labels.size(); ++i) {
    series.symbols.push_back(
        {.name = data_->intern(labels[i].name), .value = data_->intern(labels[i].value)});
  }
  for (const Sample& sample : samples) series.written.insert_or_assign(sample.timestamp_ms, sample);
  series.samples = read_back(series.written);
}

void MemorySource::clear() {
  data_ = std::make_shared<Data>();
}

Result<std::unique_ptr<SeriesSet>> MemorySource::select(const SelectRequest& request,
                                                        const CancelToken& cancel) const {
  GANTRY_CHECK(cancel.check());
  auto set = std::make_unique<Set>(data_);
  bool is_over = false;
  data_->for_each_match(request.matchers, request.start_ms, request.end_ms,
                        [&](const telemetry::Labels&, const Series& series) {
                          is_over =
                              request.series_limit != 0 && set->size() == request.series_limit;
                          if (!is_over) set->add(series);
                        });
  if (is_over && !request.truncate) {
    return fail(Code::ResourceExhausted,
                fmt::format("the selector matches more than {} series", request.series_limit));
  }
  if (is_over) set->truncate();
  return std::unique_ptr<SeriesSet>(std::move(set));
}

Result<LabelStrings> MemorySource::label_names(std::span<const Matcher> matchers,
                                               std::int64_t start_ms, std::int64_t end_ms,
                                               std::size_t limit, const CancelToken& cancel) const {
  GANTRY_CHECK(cancel.check());
  std::set<std::string, std::less<>> names;
  data_->for_each_match(matchers, start_ms, end_ms,
                        [&names](const telemetry::Labels& labels, const Series&) {
                          for (const auto& label : labels) names.insert(label.name);
                        });
  return limit_strings(names, limit);
}

Result<LabelStrings> MemorySource::label_values(std::string_view name,
                                                std::span<const Matcher> matchers,
                                                std::int64_t start_ms, std::int64_t end_ms,
                                                std::size_t limit,
                                                const CancelToken& cancel) const {
  GANTRY_CHECK(cancel.check());
  std::set<std::string, std::less<>> values;
  data_->for_each_match(matchers, start_ms, end_ms,
                        [&](const telemetry::Labels& labels, const Series&) {
                          const auto value = telemetry::find_label(labels, name);
                          if (!value.empty()) values.emplace(value);
                        });
  return limit_strings(values, limit);
}

Result<std::vector<ExemplarSeries>> MemorySource::exemplars(
    std::span<const std::vector<Matcher>> /*selectors*/, std::int64_t /*start_ms*/,
    std::int64_t /*end_ms*/, const CancelToken& cancel) const {
  GANTRY_CHECK(cancel.check());
  return std::vector<ExemplarSeries>{};
}

}  // namespace gantry::promql::promqltest
