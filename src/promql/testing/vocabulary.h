#pragma once

// The names that random queries speak of and random series carry, so that most selectors select
// something.

#include <array>
#include <string_view>

namespace gantry::promql::promqltest {

// Every series has `job` and `instance` besides the label named here.
inline constexpr std::array<std::string_view, 3> kJobs = {"api", "db", "web"};
inline constexpr std::array<std::string_view, 3> kInstances = {"i0", "i1", "i2"};
inline constexpr std::array<std::string_view, 3> kCodes = {"200", "404", "500"};
inline constexpr std::array<std::string_view, 2> kQueues = {"in", "out"};
inline constexpr std::array<std::string_view, 5> kBounds = {"0.1", "0.5", "1", "2.5", "+Inf"};

// Floats of {job, instance}: `up` is 0 or 1, `weird` holds NaN, infinities, -0, huge and tiny
// values.
inline constexpr std::array<std::string_view, 6> kPairMetrics = {
    "errors_total", "hits", "temperature", "up", "weird", "latency_seconds_sum"};

// With one label more: code, queue, le. requests_total and latency_seconds_bucket count.
inline constexpr std::string_view kCodeMetric = "requests_total";
inline constexpr std::string_view kQueueMetric = "queue_depth";
inline constexpr std::string_view kBucketMetric = "latency_seconds_bucket";

// Native histograms of {job, instance}: exponential, custom buckets, gauges, and floats among
// histograms.
inline constexpr std::array<std::string_view, 4> kNativeMetrics = {"duration_native", "size_native",
                                                                   "gauge_native", "mixed_native"};

// Value 1, with `version` and either `region` or `revision`.
inline constexpr std::array<std::string_view, 2> kInfoMetrics = {"target_info", "build_info"};
inline constexpr std::array<std::string_view, 2> kVersions = {"1.0", "2.0"};
inline constexpr std::array<std::string_view, 2> kRegions = {"eu", "us"};

// A name and a label that need quotes, the label beside `job` and `instance`.
inline constexpr std::string_view kQuotedMetric = "http.requests";
inline constexpr std::string_view kQuotedLabel = "service.name";
inline constexpr std::array<std::string_view, 2> kServices = {"a", "b c"};

}  // namespace gantry::promql::promqltest
