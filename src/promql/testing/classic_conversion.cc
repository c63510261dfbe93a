#include "promql/testing/classic_conversion.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/number_format.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct ClassicHistogram {
  std::map<double, double> buckets;
  std::optional<double> count;
  double sum = 0;
};

struct ClassicSeries {
  telemetry::Labels labels;
  std::map<std::int64_t, ClassicHistogram> by_time;
};

enum class Part : std::uint8_t { None, Bucket, Count, Sum };

std::pair<Part, std::string> split_name(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Part>, 3> kSuffixes{
      {{"_bucket", Part::Bucket}, {"_count", Part::Count}, {"_sum", Part::Sum}}};
  for (const auto& [suffix, part] : kSuffixes) {
    if (name.ends_with(suffix))
      return {part, std::string(name.substr(0, name.size() - suffix.size()))};
  }
  return {Part::None, std::string()};
}

telemetry::Labels labels_of_histogram(const telemetry::Labels& labels, const std::string& name) {
  telemetry::Labels result;
  for (const auto& label : labels) {
    if (label.name == "le") continue;
    result.push_back(label);
    if (label.name == telemetry::kMetricNameLabel) result.back().value = name;
  }
  return telemetry::make_labels(std::move(result));
}

Result<telemetry::FloatHistogram> convert(ClassicHistogram classic) {
  if (!classic.count) {
    classic.count = classic.buckets.empty() ? 0 : classic.buckets.rbegin()->second;
  }
  classic.buckets.try_emplace(kInfinity, *classic.count);
  telemetry::FloatHistogram histogram;
  histogram.schema = telemetry::kCustomBucketsSchema;
  histogram.count = *classic.count;
  histogram.sum = classic.sum;
  double previous = 0;
  for (const auto& [bound, count] : classic.buckets) {
    if (count < previous) {
      return fail(Code::InvalidArgument,
                  fmt::format("the bucket counts of a classic histogram decrease at le={}", bound));
    }
    if (bound != kInfinity) histogram.custom_values.push_back(bound);
    histogram.positive_counts.push_back(count - previous);
    previous = count;
  }
  if (previous != *classic.count) {
    return fail(Code::InvalidArgument,
                fmt::format("the count of a classic histogram is {}, its +Inf bucket holds {}",
                            *classic.count, previous));
  }
  histogram.positive_spans.push_back(
      {.offset = 0, .length = static_cast<std::uint32_t>(histogram.positive_counts.size())});
  return histogram;
}

void collect(const LoadedSeries& series, Part part, std::optional<double> bound,
             ClassicSeries& into) {
  for (const Sample& sample : series.samples) {
    if (sample.histogram || telemetry::is_stale_nan(sample.value)) continue;
    ClassicHistogram& histogram = into.by_time[sample.timestamp_ms];
    switch (part) {
      case Part::Bucket:
        histogram.buckets.try_emplace(*bound, sample.value);
        break;
      case Part::Count:
        histogram.count = sample.value;
        break;
      case Part::Sum:
        histogram.sum = sample.value;
        break;
      case Part::None:
        break;
    }
  }
}

}  // namespace

Result<std::vector<LoadedSeries>> convert_classic_histograms(
    const std::vector<LoadedSeries>& series) {
  std::map<std::string, ClassicSeries> groups;
  for (const LoadedSeries& one : series) {
    const auto [part, name] =
        split_name(telemetry::find_label(one.labels, telemetry::kMetricNameLabel));
    if (part == Part::None) continue;
    std::optional<double> bound;
    if (part == Part::Bucket) {
      bound = core::parse_float(telemetry::find_label(one.labels, "le"));
      if (!bound || std::isnan(*bound)) continue;
    }
    telemetry::Labels labels = labels_of_histogram(one.labels, name);
    ClassicSeries& group = groups[telemetry::format_labels(labels)];
    group.labels = std::move(labels);
    collect(one, part, bound, group);
  }

  std::vector<LoadedSeries> result;
  for (auto& [key, group] : groups) {
    LoadedSeries converted{.labels = group.labels, .samples = {}};
    for (auto& [time, classic] : group.by_time) {
      GANTRY_TRY(telemetry::FloatHistogram histogram, convert(std::move(classic)));
      converted.samples.push_back(
          {.timestamp_ms = time,
           .start_timestamp_ms = 0,
           .value = 0,
           .histogram = std::make_shared<const telemetry::FloatHistogram>(std::move(histogram))});
    }
    result.push_back(std::move(converted));
  }
  return result;
}

}  // namespace gantry::promql::promqltest
