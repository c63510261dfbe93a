#include "telemetry/native_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/number_format.h"
#include "telemetry/bucket_bound.h"
#include "telemetry/sample.h"

namespace gantry::telemetry {
namespace {

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool same_bits(std::uint64_t a, std::uint64_t b) {
  return a == b;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return same_bits(x, y); });
}

template <class Count>
bool identical(const BasicHistogram<Count>& a, const BasicHistogram<Count>& b) {
  return a.hint == b.hint && a.schema == b.schema &&
         same_bits(a.zero_threshold, b.zero_threshold) && same_bits(a.zero_count, b.zero_count) &&
         same_bits(a.count, b.count) && same_bits(a.sum, b.sum) &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans &&
         same_bits(a.positive_counts, b.positive_counts) &&
         same_bits(a.negative_counts, b.negative_counts) &&
         same_bits(a.custom_values, b.custom_values);
}

Result<void> validate_spans(std::span<const BucketSpan> spans, std::size_t bucket_count,
                            std::string_view side) {
  std::uint64_t spanned = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].offset < 0) {
      return fail(Code::InvalidArgument,
                  fmt::format("{} side: span number {} with offset {} would overlap the one before",
                              side, i + 1, spans[i].offset));
    }
    spanned += spans[i].length;
  }
  if (spanned != bucket_count) {
    return fail(Code::InvalidArgument,
                fmt::format("{} side: spans need {} buckets, have {} buckets", side, spanned,
                            bucket_count));
  }
  return {};
}

template <class Count>
Result<Count> sum_buckets(std::span<const Count> counts, std::string_view side) {
  Count total{};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if constexpr (std::is_same_v<Count, double>) {
      if (counts[i] < 0) {
        return fail(Code::InvalidArgument,
                    fmt::format("{} side: bucket number {} has observation count of {}", side,
                                i + 1, counts[i]));
      }
      total += counts[i];
    } else if (__builtin_add_overflow(total, counts[i], &total)) {
      return fail(Code::InvalidArgument,
                  fmt::format("{} side: bucket counts overflow 64 bits", side));
    }
  }
  return total;
}

Result<void> validate_custom(std::span<const double> bounds) {
  double previous = -std::numeric_limits<double>::infinity();
  for (const double bound : bounds) {
    if (!(bound > previous) || std::isinf(bound)) {
      return fail(Code::InvalidArgument,
                  fmt::format("custom buckets: upper bounds must be finite and ascend, got {} "
                              "after {}",
                              bound, previous));
    }
    previous = bound;
  }
  return {};
}

template <class Count>
Result<void> validate_layout(const BasicHistogram<Count>& h) {
  if (h.uses_custom_buckets()) {
    GANTRY_CHECK(validate_custom(h.custom_values));
    if (h.zero_count != Count{} || h.zero_threshold != 0 || !h.negative_spans.empty() ||
        !h.negative_counts.empty()) {
      return fail(Code::InvalidArgument,
                  "custom buckets: there must be no zero bucket and no negative buckets");
    }
    std::int64_t last = -1;
    for (const BucketSpan& span : h.positive_spans) last += std::int64_t{span.offset} + span.length;
    const bool starts_below = !h.positive_spans.empty() && h.positive_spans.front().offset < 0;
    if (starts_below || last > static_cast<std::int64_t>(h.custom_values.size())) {
      return fail(Code::InvalidArgument,
                  fmt::format("custom buckets: only {} bounds for the buckets of the spans",
                              h.custom_values.size()));
    }
  } else {
    if (h.schema < kExponentialSchemaMin || h.schema > kExponentialSchemaMax) {
      return fail(Code::InvalidArgument,
                  fmt::format("histogram schema {} is unknown, it must be {}..{} or {}", h.schema,
                              kExponentialSchemaMin, kExponentialSchemaMax, kCustomBucketsSchema));
    }
    if (!h.custom_values.empty()) {
      return fail(Code::InvalidArgument, "exponential buckets: there must be no custom bounds");
    }
  }
  GANTRY_CHECK(validate_spans(h.positive_spans, h.positive_counts.size(), "positive"));
  return validate_spans(h.negative_spans, h.negative_counts.size(), "negative");
}

Result<void> validate_counts(const IntegerHistogram& h) {
  GANTRY_TRY(std::uint64_t total, sum_buckets<std::uint64_t>(h.positive_counts, "positive"));
  GANTRY_TRY(const std::uint64_t negative,
             sum_buckets<std::uint64_t>(h.negative_counts, "negative"));
  if (__builtin_add_overflow(total, negative, &total) ||
      __builtin_add_overflow(total, h.zero_count, &total)) {
    return fail(Code::InvalidArgument, "bucket counts overflow 64 bits");
  }
  // A NaN observation counts but falls into no bucket, and makes the sum NaN.
  const bool is_consistent = std::isnan(h.sum) ? total <= h.count : total == h.count;
  if (is_consistent) return {};
  return fail(
      Code::InvalidArgument,
      fmt::format("{} observations found in buckets, but the count field is {}", total, h.count));
}

Result<void> validate_counts(const FloatHistogram& h) {
  // No comparison of count and buckets: rounding makes them differ (Prometheus does not check
  // either).
  if (h.zero_count < 0) {
    return fail(Code::InvalidArgument,
                fmt::format("zero bucket has observation count of {}", h.zero_count));
  }
  if (h.count < 0) {
    return fail(Code::InvalidArgument, fmt::format("the count field is negative: {}", h.count));
  }
  GANTRY_CHECK(sum_buckets<double>(h.positive_counts, "positive"));
  GANTRY_CHECK(sum_buckets<double>(h.negative_counts, "negative"));
  return {};
}

/// Calls visit(index, count) for each bucket of one side, lowest index first.
template <class F>
void for_each_bucket(std::span<const BucketSpan> spans, std::span<const double> counts, F visit) {
  std::int64_t index = 0;
  std::size_t at = 0;
  for (const BucketSpan& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length && at < counts.size(); ++i) {
      visit(index++, counts[at++]);
    }
  }
}

void list_negative(const FloatHistogram& h, std::vector<Bucket>& out) {
  for_each_bucket(h.negative_spans, h.negative_counts, [&](std::int64_t index, double count) {
    if (count == 0) return;
    out.push_back({.boundary_rule = 1,
                   .lower = -exponential_bound(h.schema, index),
                   .upper = -exponential_bound(h.schema, index - 1),
                   .count = count});
  });
  std::reverse(out.begin(), out.end());
}

Bucket zero_bucket(const FloatHistogram& h) {
  return {.boundary_rule = 3,
          .lower = -h.zero_threshold,
          .upper = h.zero_threshold,
          .count = h.zero_count};
}

void list_positive(const FloatHistogram& h, std::vector<Bucket>& out) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for_each_bucket(h.positive_spans, h.positive_counts, [&](std::int64_t index, double count) {
    if (count == 0) return;
    if (!h.uses_custom_buckets()) {
      out.push_back({.boundary_rule = 0,
                     .lower = exponential_bound(h.schema, index - 1),
                     .upper = exponential_bound(h.schema, index),
                     .count = count});
      return;
    }
    const auto i = static_cast<std::size_t>(index);
    const double lower = i == 0 ? -kInfinity : h.custom_values[i - 1];
    const double upper = i < h.custom_values.size() ? h.custom_values[i] : kInfinity;
    out.push_back(
        {.boundary_rule = i == 0 ? 3 : 0, .lower = lower, .upper = upper, .count = count});
  });
}

}  // namespace

FloatHistogram to_float(const IntegerHistogram& h) {
  FloatHistogram out{.hint = h.hint,
                     .schema = h.schema,
                     .zero_threshold = h.zero_threshold,
                     .zero_count = static_cast<double>(h.zero_count),
                     .count = static_cast<double>(h.count),
                     .sum = h.sum,
                     .positive_spans = h.positive_spans,
                     .negative_spans = h.negative_spans,
                     .positive_counts = {},
                     .negative_counts = {},
                     .custom_values = h.custom_values};
  out.positive_counts.assign(h.positive_counts.begin(), h.positive_counts.end());
  out.negative_counts.assign(h.negative_counts.begin(), h.negative_counts.end());
  return out;
}

FloatHistogram to_float(const NativeHistogram& histogram) {
  if (const auto* integer = std::get_if<IntegerHistogram>(&histogram)) return to_float(*integer);
  return std::get<FloatHistogram>(histogram);
}

bool is_identical(const NativeHistogram& a, const NativeHistogram& b) {
  if (a.index() != b.index()) return false;
  if (const auto* integer = std::get_if<IntegerHistogram>(&a)) {
    return identical(*integer, std::get<IntegerHistogram>(b));
  }
  return identical(std::get<FloatHistogram>(a), std::get<FloatHistogram>(b));
}

bool is_stale(const NativeHistogram& histogram) {
  return std::visit([](const auto& h) { return is_stale_nan(h.sum); }, histogram);
}

Result<void> validate(const NativeHistogram& histogram) {
  if (is_stale(histogram)) return {};
  return std::visit(
      [](const auto& h) -> Result<void> {
        GANTRY_CHECK(validate_layout(h));
        return validate_counts(h);
      },
      histogram);
}

std::vector<Bucket> list_buckets(const FloatHistogram& histogram) {
  std::vector<Bucket> out;
  list_negative(histogram, out);
  if (histogram.zero_count > 0) out.push_back(zero_bucket(histogram));
  list_positive(histogram, out);
  for (Bucket& bucket : out) {
    if (bucket.upper < 0) bucket.upper = std::min(bucket.upper, -histogram.zero_threshold);
    if (bucket.lower > 0) bucket.lower = std::max(bucket.lower, histogram.zero_threshold);
  }
  return out;
}

std::string format_histogram(const FloatHistogram& histogram) {
  std::string out = "{count:";
  core::append_float_general(out, histogram.count);
  out += ", sum:";
  core::append_float_general(out, histogram.sum);
  std::vector<Bucket> buckets;
  list_negative(histogram, buckets);
  if (histogram.zero_count != 0) buckets.push_back(zero_bucket(histogram));
  list_positive(histogram, buckets);
  for (const Bucket& bucket : buckets) {
    const bool is_left_closed = bucket.boundary_rule == 1 || bucket.boundary_rule == 3;
    const bool is_right_closed = bucket.boundary_rule == 0 || bucket.boundary_rule == 3;
    out += is_left_closed ? ", [" : ", (";
    core::append_float_general(out, bucket.lower);
    out.push_back(',');
    core::append_float_general(out, bucket.upper);
    out += is_right_closed ? "]:" : "):";
    core::append_float_general(out, bucket.count);
  }
  out.push_back('}');
  return out;
}

}  // namespace gantry::telemetry
