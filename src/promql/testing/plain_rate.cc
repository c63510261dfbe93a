// rate, increase, delta, irate, idelta, resets, changes of the plain evaluator.

#include <algorithm>
#include <cmath>

#include "promql/histogram/arithmetic.h"
#include "promql/testing/plain_range.h"

namespace gantry::promql::promqltest {

namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

bool is_gauge(const FloatHistogram& histogram) {
  return histogram.hint == CounterResetHint::Gauge;
}

/// By the start timestamps alone.
bool started_anew(const PlainWindow& window, const PlainSample& previous,
                  const PlainSample& current) {
  if (!window.has_start_times) return false;
  if (current.start_ms == 0 || current.start_ms >= current.time_ms) return false;
  if (current.start_ms != previous.time_ms) return current.start_ms > previous.time_ms;
  return previous.start_ms != 0 && previous.start_ms < previous.time_ms;
}

void note_overlap(PlainNotes& notes, const PlainWindow& window,
                  const std::vector<PlainSample>& samples) {
  if (!window.has_start_times) return;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    const PlainSample& previous = samples[i - 1];
    if (samples[i].start_ms == 0 || samples[i].start_ms >= previous.time_ms ||
        samples[i].start_ms == previous.start_ms)
      continue;
    notes.warn_counted(
        "sample has start time that overlaps with previous sample timestamp for metric " +
            go_quoted(window.metric_name),
        window.position);
    return;
  }
}

void note_mix(PlainNotes& notes, const PlainWindow& window, Position position) {
  notes.warn(
      "encountered a mix of histograms and floats for metric name " + go_quoted(window.metric_name),
      position);
}

void note_layouts(PlainNotes& notes, const PlainWindow& window, Position position) {
  notes.warn(
      "vector contains a mix of histograms with exponential and custom buckets schemas for metric "
      "name " +
          go_quoted(window.metric_name),
      position);
}

void note_reconciled(PlainNotes& notes, const histogram::Combination& done, std::string_view what,
                     Position position) {
  if (done.has_reconciled_bounds)
    notes.info("mismatched custom buckets were reconciled during " + std::string(what), position);
}

void note_not_counter(PlainNotes& notes, const PlainWindow& window, Position position) {
  notes.warn("this native histogram metric is not a counter: " + go_quoted(window.metric_name),
             position);
}

void note_not_gauge(PlainNotes& notes, const PlainWindow& window, Position position) {
  notes.warn("this native histogram metric is not a gauge: " + go_quoted(window.metric_name),
             position);
}

double float_difference(PlainNotes& notes, const PlainWindow& window, bool is_counter) {
  const auto& floats = window.floats;
  double result = floats.back().value - floats.front().value;
  if (!is_counter) return result;
  note_overlap(notes, window, floats);
  for (std::size_t i = 1; i < floats.size(); ++i) {
    if (floats[i].value < floats[i - 1].value || started_anew(window, floats[i - 1], floats[i]))
      result += floats[i - 1].value;
  }
  return result;
}

struct LayoutCheck {
  bool is_custom = false;
  std::int32_t schema = 0;
};

/// False, with the note of that alone, when a sample between the ends has the other kind of
/// buckets.
bool check_layouts(PlainNotes& notes, const PlainWindow& window, bool is_counter,
                   LayoutCheck& check) {
  const auto& points = window.histograms;
  check.schema = std::min(check.schema, points.back().histogram->schema);
  if (!is_counter) return true;
  bool has_gauge = false;
  for (std::size_t i = 1; i + 1 < points.size(); ++i) {
    const FloatHistogram& current = *points[i].histogram;
    has_gauge = has_gauge || is_gauge(current);
    check.schema = std::min(check.schema, current.schema);
    if (current.uses_custom_buckets() != check.is_custom) {
      note_layouts(notes, window, window.position);
      return false;
    }
  }
  if (has_gauge) note_not_counter(notes, window, window.position);
  return true;
}

/// Null: no result.
HistogramPointer histogram_difference(PlainNotes& notes, const PlainWindow& window,
                                      bool is_counter) {
  const auto& points = window.histograms;
  FloatHistogram previous = *points.front().histogram;
  const bool ends_in_gauge = is_gauge(previous) || is_gauge(*points.back().histogram);
  if (is_counter && (started_anew(window, points[0], points[1]) ||
                     histogram::is_counter_reset(*points[1].histogram, previous))) {
    previous = FloatHistogram{};
    previous.schema = points[1].histogram->schema;
    previous.custom_values = points[1].histogram->custom_values;
  }
  LayoutCheck check{.is_custom = previous.uses_custom_buckets(), .schema = previous.schema};
  if (points.back().histogram->uses_custom_buckets() != check.is_custom) {
    // Here, and only here, the impossibility comes on top of what was noted.
    if (is_counter && ends_in_gauge) note_not_counter(notes, window, window.position);
    note_layouts(notes, window, window.position);
    return nullptr;
  }
  if (!check_layouts(notes, window, is_counter, check)) return nullptr;
  if (is_counter && ends_in_gauge) note_not_counter(notes, window, window.position);

  FloatHistogram result = *points.back().histogram;
  if (!result.uses_custom_buckets()) histogram::reduce_resolution(result, check.schema);
  note_reconciled(notes, histogram::subtract(result, previous), "subtraction", window.position);
  if (is_counter) {
    note_overlap(notes, window, points);
    for (std::size_t i = 1; i < points.size(); ++i) {
      const FloatHistogram& current = *points[i].histogram;
      if (started_anew(window, points[i - 1], points[i]) ||
          histogram::is_counter_reset(current, previous)) {
        note_reconciled(notes, histogram::add(result, previous), "addition", window.position);
      }
      previous = current;
    }
  } else if (!is_gauge(*points.front().histogram) || !is_gauge(*points.back().histogram)) {
    note_not_gauge(notes, window, window.position);
  }
  result.hint = CounterResetHint::Gauge;
  histogram::compact(result);
  return share(std::move(result));
}

}  // namespace

std::optional<PlainAnswer> rate_over_time(PlainNotes& notes, FunctionId function,
                                          const PlainWindow& window) {
  const bool is_counter = function != FunctionId::Delta;
  if (!window.floats.empty() && !window.histograms.empty()) {
    note_mix(notes, window, window.position);
    return std::nullopt;
  }
  const bool is_histogram = !window.histograms.empty();
  const auto& samples = is_histogram ? window.histograms : window.floats;
  PlainAnswer answer;
  if (is_histogram && samples.size() > 1) {
    answer.histogram = histogram_difference(notes, window, is_counter);
    if (!answer.histogram) return std::nullopt;
  }
  if (!is_histogram) answer.value = float_difference(notes, window, is_counter);

  const PlainSample& first = samples.front();
  double to_start = static_cast<double>(first.time_ms - window.start_ms) / 1000;
  double to_end = static_cast<double>(window.end_ms - samples.back().time_ms) / 1000;
  double sampled = static_cast<double>(samples.back().time_ms - first.time_ms) / 1000;
  const double average = samples.size() > 1 ? sampled / static_cast<double>(samples.size() - 1) : 0;
  const double threshold = average * 1.1;

  const bool starts_inside = is_counter && window.has_start_times && first.start_ms != 0 &&
                             first.start_ms > window.start_ms && first.start_ms < first.time_ms;
  if (starts_inside) {
    to_start = 0;
    sampled = static_cast<double>(samples.back().time_ms - first.start_ms) / 1000;
    if (!is_histogram) {
      answer.value += first.value;
    } else if (!answer.histogram) {
      answer.histogram = first.histogram;
    } else {
      FloatHistogram sum = *answer.histogram;
      const auto done = histogram::add(sum, *first.histogram);
      if (!done.is_possible) {
        note_layouts(notes, window, window.position);
        return std::nullopt;
      }
      note_reconciled(notes, done, "addition", window.position);
      answer.histogram = share(std::move(sum));
    }
  } else if (samples.size() < 2) {
    return std::nullopt;
  } else {
    if (to_start >= threshold) to_start = average / 2;
    const double begin = is_histogram ? first.histogram->count : first.value;
    const double gain = is_histogram ? answer.histogram->count : answer.value;
    if (is_counter && gain > 0 && begin >= 0)
      to_start = std::min(to_start, sampled * (begin / gain));
  }
  if (to_end >= threshold) to_end = average / 2;

  double factor = sampled == 0 ? 1 : (sampled + to_start + to_end) / sampled;
  if (function == FunctionId::Rate) factor /= static_cast<double>(window.range_ms) / 1000;
  if (is_histogram) {
    FloatHistogram scaled = *answer.histogram;
    histogram::multiply(scaled, factor);
    answer.histogram = share(std::move(scaled));
  } else {
    answer.value *= factor;
  }
  return answer;
}

namespace {

std::vector<PlainSample> in_order(const PlainWindow& window) {
  std::vector<PlainSample> all = window.floats;
  all.insert(all.end(), window.histograms.begin(), window.histograms.end());
  std::ranges::stable_sort(all, {}, &PlainSample::time_ms);
  return all;
}

}  // namespace

std::optional<PlainAnswer> last_two_over_time(PlainNotes& notes, FunctionId function,
                                              const PlainWindow& window) {
  const std::vector<PlainSample> all = in_order(window);
  if (all.size() < 2) return std::nullopt;
  const PlainSample& before = all[all.size() - 2];
  const PlainSample& last = all.back();
  const bool is_rate = function == FunctionId::Irate;
  const Position position = window.first_argument;
  if ((before.histogram == nullptr) != (last.histogram == nullptr)) {
    note_mix(notes, window, position);
    return std::nullopt;
  }
  const double seconds = static_cast<double>(last.time_ms - before.time_ms) / 1000;
  if (!last.histogram) {
    const bool is_reset =
        is_rate && (last.value < before.value || started_anew(window, before, last));
    const double difference = is_reset ? last.value : last.value - before.value;
    return PlainAnswer{.value = is_rate ? difference / seconds : difference, .histogram = nullptr};
  }
  FloatHistogram result = *last.histogram;
  if (is_rate && (is_gauge(*last.histogram) || is_gauge(*before.histogram)))
    note_not_counter(notes, window, position);
  if (!is_rate && (!is_gauge(*last.histogram) || !is_gauge(*before.histogram)))
    note_not_gauge(notes, window, position);
  if (!is_rate || (!started_anew(window, before, last) &&
                   !histogram::is_counter_reset(*last.histogram, *before.histogram))) {
    const auto done = histogram::subtract(result, *before.histogram);
    if (!done.is_possible) {
      note_layouts(notes, window, position);
      return std::nullopt;
    }
    note_reconciled(notes, done, "subtraction", position);
  }
  result.hint = CounterResetHint::Gauge;
  histogram::compact(result);
  if (is_rate) histogram::divide(result, seconds);
  return PlainAnswer{.value = 0, .histogram = share(std::move(result))};
}

std::optional<PlainAnswer> resets_over_time(const PlainWindow& window) {
  const std::vector<PlainSample> all = in_order(window);
  double resets = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const PlainSample& before = all[i - 1];
    const PlainSample& now = all[i];
    bool is_reset = (before.histogram == nullptr) != (now.histogram == nullptr);
    if (!is_reset && now.histogram) {
      is_reset = started_anew(window, before, now) ||
                 histogram::is_counter_reset(*now.histogram, *before.histogram);
    } else if (!is_reset) {
      is_reset = started_anew(window, before, now) || now.value < before.value;
    }
    if (is_reset) resets += 1;
  }
  return PlainAnswer{.value = resets, .histogram = nullptr};
}

std::optional<PlainAnswer> changes_over_time(const PlainWindow& window) {
  const std::vector<PlainSample> all = in_order(window);
  double changes = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const PlainSample& before = all[i - 1];
    const PlainSample& now = all[i];
    const bool is_histogram = now.histogram != nullptr;
    bool is_change = is_histogram != (before.histogram != nullptr);
    if (!is_change && is_histogram)
      is_change = !histogram::equals(*now.histogram, *before.histogram);
    if (!is_change && !is_histogram)
      is_change = now.value != before.value && !(std::isnan(now.value) && std::isnan(before.value));
    if (is_change) changes += 1;
  }
  return PlainAnswer{.value = changes, .histogram = nullptr};
}

}  // namespace gantry::promql::promqltest
