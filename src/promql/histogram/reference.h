#pragma once

// For tests: histograms as maps, with the plain definitions of what arithmetic does, and random
// histograms. Counts are small integers, so that every order of addition gives the same bits.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include <rapidcheck.h>

#include "telemetry/bucket_bound.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

using BucketMap = std::map<std::int64_t, double>;

inline BucketMap populated(const std::vector<telemetry::BucketSpan>& spans,
                           const std::vector<double>& counts) {
  BucketMap buckets;
  std::int64_t index = 0;
  std::size_t at = 0;
  for (const telemetry::BucketSpan& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++at) {
      if (counts[at] != 0) buckets[index] = counts[at];
    }
  }
  return buckets;
}

/// What a histogram says, however its buckets are cut into spans.
struct Model {
  std::int32_t schema = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  BucketMap positive;
  BucketMap negative;
  std::vector<double> custom_values;

  bool operator==(const Model&) const = default;

  explicit Model(const telemetry::FloatHistogram& h)
      : schema(h.schema),
        zero_threshold(h.zero_threshold),
        zero_count(h.zero_count),
        count(h.count),
        sum(h.sum),
        positive(populated(h.positive_spans, h.positive_counts)),
        negative(populated(h.negative_spans, h.negative_counts)),
        custom_values(h.custom_values) {}

  void reduce(std::int32_t to) {
    for (BucketMap* side : {&positive, &negative}) {
      BucketMap coarse;
      for (const auto& [index, value] : *side) {
        const double width = std::ldexp(1.0, schema - to);
        coarse[std::llround(std::ceil(static_cast<double>(index) / width))] += value;
      }
      *side = coarse;
    }
    schema = to;
  }

  /// To a larger threshold, until no populated bucket begins within the zero bucket.
  void widen(double threshold) {
    if (threshold <= zero_threshold) return;
    zero_threshold = threshold;
    for (bool is_changed = true; is_changed;) {
      is_changed = false;
      for (BucketMap* side : {&positive, &negative}) {
        while (!side->empty()) {
          const auto [index, value] = *side->begin();
          if (telemetry::exponential_bound(schema, index - 1) >= zero_threshold) break;
          zero_count += value;
          zero_threshold = std::max(zero_threshold, telemetry::exponential_bound(schema, index));
          side->erase(side->begin());
          is_changed = true;
        }
      }
    }
  }

  void fold(const std::vector<double>& bounds) {
    BucketMap folded;
    for (const auto& [index, value] : positive) {
      const auto at = static_cast<std::size_t>(index);
      const double upper =
          at < custom_values.size() ? custom_values[at] : std::numeric_limits<double>::infinity();
      folded[std::ranges::lower_bound(bounds, upper) - bounds.begin()] += value;
    }
    positive = folded;
    custom_values = bounds;
  }
};

inline Model plain_sum(Model a, Model b, double sign) {
  if (a.schema == telemetry::kCustomBucketsSchema) {
    std::vector<double> bounds;
    std::ranges::set_intersection(a.custom_values, b.custom_values, std::back_inserter(bounds));
    a.fold(bounds);
    b.fold(bounds);
  } else {
    while (a.zero_threshold != b.zero_threshold) {
      a.widen(b.zero_threshold);
      b.widen(a.zero_threshold);
    }
    const std::int32_t schema = std::min(a.schema, b.schema);
    a.reduce(schema);
    b.reduce(schema);
  }
  for (const auto& [index, value] : b.positive) a.positive[index] += sign * value;
  for (const auto& [index, value] : b.negative) a.negative[index] += sign * value;
  constexpr auto kIsEmpty = [](const auto& bucket) { return bucket.second == 0; };
  std::erase_if(a.positive, kIsEmpty);
  std::erase_if(a.negative, kIsEmpty);
  a.zero_count += sign * b.zero_count;
  a.count += sign * b.count;
  a.sum += sign * b.sum;
  return a;
}

/// Random buckets between two indexes, some of them empty, cut into spans at random.
inline void fill_side(std::int64_t first, std::int64_t last,
                      std::vector<telemetry::BucketSpan>& spans, std::vector<double>& counts,
                      double& total) {
  std::int64_t next = 0;
  for (std::int64_t index = first; index <= last; ++index) {
    if (*rc::gen::inRange(0, 3) == 0) continue;
    const bool starts_span = spans.empty() || index != next || *rc::gen::inRange(0, 6) == 0;
    if (starts_span) spans.push_back({.offset = static_cast<std::int32_t>(index - next)});
    ++spans.back().length;
    next = index + 1;
    counts.push_back(*rc::gen::inRange(0, 5));
    total += counts.back();
  }
}

inline telemetry::FloatHistogram random_exponential() {
  telemetry::FloatHistogram h;
  h.schema = *rc::gen::inRange(-1, 4);
  h.zero_threshold = *rc::gen::element(0.0, 0.0, 0.001, 0.3, 0.5, 1.0, 1.5);
  h.zero_count = *rc::gen::inRange(0, 4);
  h.count = h.zero_count;
  // No buckets within the zero bucket: no client counts that way.
  std::int64_t first = -6;
  while (telemetry::exponential_bound(h.schema, first) <= h.zero_threshold) ++first;
  const std::int64_t last = first + *rc::gen::inRange(-1, 12);
  if (*rc::gen::inRange(0, 4) != 0) {
    fill_side(first, last, h.positive_spans, h.positive_counts, h.count);
  }
  if (*rc::gen::inRange(0, 2) != 0) {
    fill_side(first, last, h.negative_spans, h.negative_counts, h.count);
  }
  h.sum = *rc::gen::inRange(-20, 20);
  return h;
}

inline telemetry::FloatHistogram random_custom() {
  telemetry::FloatHistogram h;
  h.schema = telemetry::kCustomBucketsSchema;
  const auto bounds = *rc::gen::container<std::set<int>>(rc::gen::inRange(-3, 6));
  h.custom_values.assign(bounds.begin(), bounds.end());
  fill_side(0, static_cast<std::int64_t>(bounds.size()), h.positive_spans, h.positive_counts,
            h.count);
  h.sum = *rc::gen::inRange(-20, 20);
  return h;
}

inline telemetry::FloatHistogram random_histogram() {
  return *rc::gen::inRange(0, 3) == 0 ? random_custom() : random_exponential();
}

}  // namespace gantry::promql::histogram
