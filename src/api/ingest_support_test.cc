#include "api/ingest_support.h"

#include <gtest/gtest.h>

namespace gantry::api {
namespace {

using telemetry::RejectReason;

telemetry::AppendResult refusal(RejectReason reason, std::uint64_t samples) {
  telemetry::AppendResult result;
  result.rejected_counts[static_cast<std::size_t>(reason)] = samples;
  result.samples_rejected = samples;
  result.rejections.push_back({.reason = reason, .message = "why", .count = samples});
  return result;
}

TEST(Verdict, FollowsWhatTheSenderShouldDo) {
  EXPECT_EQ(verdict_of({}), Verdict::Accepted);
  EXPECT_EQ(verdict_of(refusal(RejectReason::InvalidExemplar, 0)), Verdict::Accepted);
  EXPECT_EQ(verdict_of(refusal(RejectReason::TooOld, 1)), Verdict::BadData);
  EXPECT_EQ(verdict_of(refusal(RejectReason::SeriesLimit, 1)), Verdict::Limited);
}

TEST(Verdict, ARequestOfMetadataOnlyCanBeLimitedToo) {
  telemetry::AppendResult result = refusal(RejectReason::BytesPerDay, 0);
  result.retry_after = {1};
  EXPECT_EQ(verdict_of(result), Verdict::Limited);
}

TEST(DescribeRejections, CountsInTheProtocolsUnit) {
  const telemetry::AppendResult result = refusal(RejectReason::BytesPerDay, 12);
  EXPECT_EQ(describe_rejections(result),
            "12 samples were refused: why (err-gantry-max-bytes-per-day)");
  EXPECT_EQ(describe_rejections(result, 3, "data points"),
            "3 data points were refused: why (err-gantry-max-bytes-per-day)");
  EXPECT_EQ(describe_rejections(telemetry::AppendResult()), "");
  EXPECT_EQ(describe_rejections({}, 0, "data points"), "");
}

telemetry::SpanAppendResult span_refusal(telemetry::SpanRejectReason reason, std::uint64_t spans) {
  telemetry::SpanAppendResult result;
  result.rejected_counts[static_cast<std::size_t>(reason)] = spans;
  result.messages = {"why", "and why"};
  return result;
}

TEST(SpanRejections, CountAndSayWhy) {
  using telemetry::SpanRejectReason;
  EXPECT_EQ(describe_rejections(telemetry::SpanAppendResult()), "");
  EXPECT_EQ(describe_rejections(span_refusal(SpanRejectReason::TraceTooLarge, 3)),
            "3 spans were refused: why; and why");
}

TEST(SpanRejections, LimitsThatLiftAskForAnotherTry) {
  using telemetry::SpanRejectReason;
  EXPECT_FALSE(is_limited({}));
  EXPECT_FALSE(is_limited(span_refusal(SpanRejectReason::TraceTooLarge, 1)));
  EXPECT_FALSE(is_limited(span_refusal(SpanRejectReason::InvalidId, 1)));
  EXPECT_TRUE(is_limited(span_refusal(SpanRejectReason::LiveTraces, 1)));
  EXPECT_TRUE(is_limited(span_refusal(SpanRejectReason::RateLimited, 1)));
}

TEST(SpanIngestMetrics, CountsWhatTheCodecAndTheStoreRefused) {
  core::MetricRegistry registry;
  const SpanIngestMetrics metrics(registry, "otlp");
  telemetry::SpanAppendResult result = span_refusal(telemetry::SpanRejectReason::TraceTooLarge, 2);
  result.spans_written = 5;
  result.spans_repeated = 1;
  codec::OtlpTracesOutcome outcome;
  outcome.rejected_spans = 3;
  metrics.record(outcome, result);
  const auto count = [&](std::string_view name, std::string reason) {
    core::MetricLabels labels = {{"protocol", "otlp"}};
    if (!reason.empty()) labels.emplace_back("reason", std::move(reason));
    return registry.counter(name, "", labels).value();
  };
  EXPECT_EQ(count("gantry_ingest_spans_total", ""), 5U);
  EXPECT_EQ(count("gantry_ingest_repeated_spans_total", ""), 1U);
  EXPECT_EQ(count("gantry_ingest_rejected_spans_total", "trace_too_large"), 2U);
  EXPECT_EQ(count("gantry_ingest_rejected_spans_total", "invalid_id"), 3U);
}

TEST(RetryAfter, IsTheKnownTimeOrGrowsWithAttempts) {
  net::Request request;
  EXPECT_EQ(retry_after_seconds(request, DurationMs{1}), 1U);
  EXPECT_EQ(retry_after_seconds(request, DurationMs{1001}), 2U);
  EXPECT_EQ(retry_after_seconds(request, DurationMs{86'400'000}), 86'400U);
  EXPECT_EQ(retry_after_seconds(request, DurationMs{0}), retry_after_seconds(request));
  request.headers.set("Retry-Attempt", "9");
  EXPECT_GE(retry_after_seconds(request), 48U);
  EXPECT_LE(retry_after_seconds(request), 96U);
}

}  // namespace
}  // namespace gantry::api
