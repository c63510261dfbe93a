#include "promql/eval/annotations.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/number_format.h"
#include "promql/parser.h"
#include "telemetry/labels.h"

namespace gantry::promql::eval {
namespace {

constexpr std::string_view kMonotonicityText =
    "input to histogram_quantile needed to be fixed for monotonicity (see "
    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

/// RFC 3339 in UTC, with milliseconds only where there are some.
std::string format_time(std::int64_t timestamp_ms) {
  std::int64_t days = timestamp_ms / 86'400'000;
  std::int64_t ms = timestamp_ms % 86'400'000;
  if (ms < 0) {
    ms += 86'400'000;
    --days;
  }
  // Days to civil date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t day_of_era = days - (era * 146'097);
  const std::int64_t year_of_era =
      (day_of_era - (day_of_era / 1460) + (day_of_era / 36'524) - (day_of_era / 146'096)) / 365;
  const std::int64_t day_of_year =
      day_of_era - ((365 * year_of_era) + (year_of_era / 4) - (year_of_era / 100));
  const std::int64_t shifted_month = ((5 * day_of_year) + 2) / 153;
  const std::int64_t day = day_of_year - (((153 * shifted_month) + 2) / 5) + 1;
  const std::int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const std::int64_t year = year_of_era + (era * 400) + (month <= 2 ? 1 : 0);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", year, month, day,
                                 ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60);
  if (ms % 1000 != 0) {
    text += fmt::format(".{:03}", ms % 1000);
    while (text.back() == '0') text.pop_back();
  }
  return text + "Z";
}

std::string general(double value) {
  std::string text;
  core::append_float_general(text, value);
  return text;
}

}  // namespace

std::string for_metric_name(std::string_view name) {
  return name.empty() ? std::string() : with_quoted(" for metric name", name);
}

std::string with_quoted(std::string_view prefix, std::string_view name) {
  std::string text(prefix);
  text += ' ';
  telemetry::append_go_quoted(text, name);
  return text;
}

AnnotationSet::Entry& AnnotationSet::add(Severity severity, std::string text, Position position) {
  std::string key = (severity == Severity::Warning ? "w" : "i") + text;
  const auto [place, is_new] = index_.emplace(std::move(key), entries_.size());
  if (is_new) {
    entries_.push_back(
        {.severity = severity, .text = std::move(text), .position = position, .repairs = {}});
  }
  entries_[place->second].position = position;
  return entries_[place->second];
}

void AnnotationSet::join(Repairs& into, const Repairs& other) {
  if (other.count == 0) return;
  if (into.count == 0) {
    into = other;
    return;
  }
  into.count += other.count;
  into.fix.first_bucket = std::min(into.fix.first_bucket, other.fix.first_bucket);
  into.fix.last_bucket = std::max(into.fix.last_bucket, other.fix.last_bucket);
  into.fix.difference_max = std::max(into.fix.difference_max, other.fix.difference_max);
  into.first_ms = std::min(into.first_ms, other.first_ms);
  into.last_ms = std::max(into.last_ms, other.last_ms);
}

void AnnotationSet::add_monotonicity_fix(std::string_view metric_name,
                                         const kernels::MonotonicityFix& fix,
                                         std::int64_t timestamp_ms, Position position) {
  Entry& entry =
      add(Severity::Info, std::string(kMonotonicityText) + for_metric_name(metric_name), position);
  join(entry.repairs, {.fix = fix, .count = 1, .first_ms = timestamp_ms, .last_ms = timestamp_ms});
}

void AnnotationSet::add_start_time_overlaps(std::string_view metric_name, std::uint64_t count,
                                            Position position) {
  constexpr std::string_view kText =
      "sample has start time that overlaps with previous sample timestamp for metric";
  add(Severity::Warning, with_quoted(kText, metric_name), position).occurrences += count;
}

void AnnotationSet::merge(const AnnotationSet& other) {
  for (const Entry& entry : other.entries_) {
    Entry& into = add(entry.severity, entry.text, entry.position);
    join(into.repairs, entry.repairs);
    into.occurrences += entry.occurrences;
  }
}

std::string AnnotationSet::render(const Entry& entry) {
  std::string text =
      (entry.severity == Severity::Warning ? "PromQL warning: " : "PromQL info: ") + entry.text;
  if (entry.repairs.count > 0) {
    const Repairs& repairs = entry.repairs;
    text += fmt::format(
        ", from buckets {} to {}, with a max diff of {:.2g}, over {} samples "
        "from {} to {}",
        general(repairs.fix.first_bucket), general(repairs.fix.last_bucket),
        repairs.fix.difference_max, repairs.count, format_time(repairs.first_ms),
        format_time(repairs.last_ms));
  }
  if (entry.occurrences > 1) text += fmt::format(" ({} occurrences)", entry.occurrences);
  return text;
}

Annotations AnnotationSet::finish(std::string_view query) const {
  Annotations result;
  for (const Entry& entry : entries_) {
    std::string text = render(entry);
    text += fmt::format(" ({})", line_and_column(query, entry.position.start));
    (entry.severity == Severity::Warning ? result.warnings : result.infos)
        .push_back(std::move(text));
  }
  return result;
}

}  // namespace gantry::promql::eval
