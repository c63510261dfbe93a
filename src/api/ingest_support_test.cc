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
  EXPECT_EQ(describe_rejections({}), "");
  EXPECT_EQ(describe_rejections({}, 0, "data points"), "");
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
