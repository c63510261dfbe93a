#include "traceql/metrics/intervals.h"

#include <array>
#include <limits>

namespace gantry::traceql {

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMillisecond;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;

/// The distance of `value` from the multiple of `step` at or below it.
std::int64_t past_multiple(std::int64_t value, std::int64_t step) {
  const std::int64_t rest = value % step;
  return rest < 0 ? rest + step : rest;
}

std::int64_t saturating_subtract(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  return __builtin_sub_overflow(a, b, &difference) ? std::numeric_limits<std::int64_t>::min()
                                                   : difference;
}

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

}  // namespace

AlignedRange align_range(std::int64_t start_ns, std::int64_t end_ns, std::int64_t step_ns) {
  if (step_ns <= 0) return {.start_ns = start_ns, .end_ns = end_ns};
  const std::int64_t floored = saturating_subtract(start_ns, past_multiple(start_ns, step_ns));
  const std::int64_t past_end = past_multiple(end_ns, step_ns);
  return {.start_ns = saturating_subtract(floored, step_ns),
          .end_ns = past_end == 0 ? end_ns : saturating_add(end_ns, step_ns - past_end)};
}

std::int64_t default_step_ns(std::int64_t start_ns, std::int64_t end_ns) {
  const std::int64_t range = saturating_subtract(end_ns, start_ns);
  const std::int64_t base = range / 240;
  if (range < kMinute) {
    constexpr std::int64_t kShortest = 50 * kMillisecond;
    return base < kShortest ? kShortest : base / kShortest * kShortest;
  }
  constexpr std::array kGrains = {kHour, 5 * kMinute, kMinute, 15 * kSecond, 5 * kSecond, kSecond};
  for (const std::int64_t grain : kGrains) {
    if (base > grain) return base / grain * grain;
  }
  return kSecond;
}

namespace metrics {

Result<Intervals> plan_intervals(const MetricsRequest& request) {
  if (request.end_ns <= request.start_ns) {
    return fail(Code::InvalidArgument, "end must be greater than start");
  }
  if (request.step_ns < 0) return fail(Code::InvalidArgument, "step must be positive");
  const AlignedRange range = align_range(request.start_ns, request.end_ns, request.step_ns);
  const auto length =
      static_cast<std::uint64_t>(range.end_ns) - static_cast<std::uint64_t>(range.start_ns);
  if (length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return fail(Code::InvalidArgument, "metrics query time range is out of range");
  }
  // An instant query is one interval as long as its range.
  const std::uint64_t step =
      request.step_ns == 0 ? length : static_cast<std::uint64_t>(request.step_ns);
  const std::uint64_t count = (length / step) + (length % step == 0 ? 0 : 1);
  if (count > std::numeric_limits<std::int32_t>::max()) {
    return fail(Code::InvalidArgument, "step of " + format_go_duration(request.step_ns) +
                                           " is too small for the given range");
  }
  return Intervals{.start_ns = range.start_ns,
                   .end_ns = range.end_ns,
                   .step_ns = static_cast<std::int64_t>(step),
                   .count = static_cast<std::uint32_t>(count)};
}

}  // namespace metrics

}  // namespace gantry::traceql
