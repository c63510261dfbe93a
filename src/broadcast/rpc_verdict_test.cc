#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "broadcast/testing/destinations.h"
#include "broadcast/verdict.h"
#include "codec/otlp_response.h"

namespace gantry::broadcast {
namespace {

using namespace testing;
using net::RpcCode;

constexpr TimestampMs kNow{1'790'000'000'000};

Classified classify(RpcEnd end, std::string body = "") {
  const int status = static_cast<int>(end.code);
  return classify_answer(
      grpc_destination(),
      {.status = status, .headers = {}, .body = std::move(body), .rpc = std::move(end)}, kNow);
}

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::Done:
      return "done";
    case Verdict::Retry:
      return "retry";
    case Verdict::Split:
      return "split";
    case Verdict::Bisect:
      return "bisect";
    case Verdict::Refuse:
      return "refuse";
    case Verdict::Hold:
      return "hold";
    case Verdict::Fallback:
      return "fallback";
  }
  return "";
}

/// "verdict kind after=ms max=n".
std::string shown(const Classified& classified) {
  std::string text =
      fmt::format("{} {}", verdict_name(classified.verdict), failure_kind_name(classified.kind));
  if (classified.retry_after) text += fmt::format(" after={}", classified.retry_after->count);
  if (classified.retries_max) text += fmt::format(" max={}", *classified.retries_max);
  return text;
}

struct CodeCase {
  RpcCode code;
  std::string_view bare;        ///< Without RetryInfo.
  std::string_view with_delay;  ///< With one of 1.5 s.
};

class RpcCodeTest : public ::testing::TestWithParam<CodeCase> {};

TEST_P(RpcCodeTest, MeansWhatOtlpSays) {
  const RpcCode code = GetParam().code;
  const Classified bare = classify({.code = code, .message = "theirs"});
  EXPECT_EQ(shown(bare), GetParam().bare);
  EXPECT_TRUE(bare.message.contains(rpc_code_name(code))) << bare.message;
  EXPECT_TRUE(bare.message.ends_with("; the answer: theirs")) << bare.message;
  EXPECT_EQ(shown(classify({.code = code, .retry_delay = DurationMs{1500}})),
            GetParam().with_delay);
}

INSTANTIATE_TEST_SUITE_P(
    All, RpcCodeTest,
    ::testing::Values(
        CodeCase{RpcCode::Cancelled, "retry server_error", "retry server_error after=1500"},
        CodeCase{RpcCode::Unknown, "retry server_error max=3", "retry server_error max=3"},
        CodeCase{RpcCode::InvalidArgument, "bisect bad_request", "bisect bad_request"},
        CodeCase{RpcCode::DeadlineExceeded, "retry timeout", "retry timeout after=1500"},
        CodeCase{RpcCode::NotFound, "hold wrong_endpoint", "hold wrong_endpoint"},
        CodeCase{RpcCode::AlreadyExists, "bisect bad_request", "bisect bad_request"},
        CodeCase{RpcCode::PermissionDenied, "hold unauthorized", "hold unauthorized"},
        CodeCase{RpcCode::ResourceExhausted, "retry rate_limited max=3",
                 "retry rate_limited after=1500"},
        CodeCase{RpcCode::FailedPrecondition, "bisect bad_request", "bisect bad_request"},
        CodeCase{RpcCode::Aborted, "retry server_error", "retry server_error after=1500"},
        CodeCase{RpcCode::OutOfRange, "retry server_error", "retry server_error after=1500"},
        CodeCase{RpcCode::Unimplemented, "hold wrong_endpoint", "hold wrong_endpoint"},
        CodeCase{RpcCode::Internal, "retry server_error max=3", "retry server_error max=3"},
        CodeCase{RpcCode::Unavailable, "retry server_error", "retry server_error after=1500"},
        CodeCase{RpcCode::DataLoss, "retry server_error", "retry server_error after=1500"},
        CodeCase{RpcCode::Unauthenticated, "hold unauthorized", "hold unauthorized"}),
    [](const auto& c) { return std::string(rpc_code_name(c.param.code)); });

TEST(RpcVerdict, WhatWasTakenIsDoneApartFromWhatTheAnswerNames) {
  EXPECT_EQ(shown(classify({})), "done ");
  const auto partial = [](std::uint64_t rejected, std::string_view message) {
    return classify({}, codec::encode_otlp_response(codec::OtlpEncoding::Protobuf,
                                                    codec::OtlpSignal::Traces, rejected, message));
  };
  const Classified some = partial(2, "too old for header-secret");
  EXPECT_EQ(shown(some), "done rejected");
  EXPECT_EQ(some.rejected_items, 2U);
  EXPECT_EQ(some.message, "the receiver rejected 2 spans; the answer: too old for ****");
  EXPECT_EQ(partial(0, "a warning").message, "a warning");
  EXPECT_EQ(shown(classify({}, "\xff no message")), "done ");
}

TEST(RpcVerdict, MessagesThatAreTooLargeAreHalved) {
  for (const std::string_view words :
       {"Received message larger than max (5000000 vs. 4194304)",
        "grpc: received message after decompression larger than max (15728641 vs. 15728640)",
        "gRPC message exceeds maximum size 4194304: 5000000",
        "decompressed body is larger than the limit of 4194304 bytes (http.x)"})
    EXPECT_EQ(shown(classify({.code = RpcCode::ResourceExhausted,
                              .message = std::string(words),
                              .retry_delay = DurationMs{1}})),
              "split bad_request")
        << words;
}

TEST(RpcVerdict, BoundsWhatTheReceiverAsksFor) {
  const auto delay = [](std::int64_t ms) {
    return shown(classify({.code = RpcCode::Unavailable, .retry_delay = DurationMs{ms}}));
  };
  EXPECT_EQ(delay(0), "retry server_error");
  EXPECT_EQ(delay(86'400'000), "retry server_error after=3600000");
  EXPECT_EQ(shown(classify({.code = RpcCode::ResourceExhausted, .retry_delay = DurationMs{0}})),
            "retry rate_limited")
      << "a RetryInfo, whatever it holds, says that it may be repeated";
}

TEST(RpcVerdict, NamesTheFieldAndNoSecret) {
  const auto message = [](RpcCode code) {
    return classify({.code = code, .message = "no header-secret\nhere"}).message;
  };
  EXPECT_EQ(message(RpcCode::Unauthenticated),
            "the receiver refused the credentials (UNAUTHENTICATED); check the Authorization "
            "header in headers; the answer: no **** here");
  EXPECT_EQ(message(RpcCode::Unimplemented),
            "the receiver answered UNIMPLEMENTED; check endpoint: host and port of a receiver of "
            "OTLP over gRPC, mostly port 4317; a receiver that does not know gzip needs "
            "compression none; the answer: no **** here");
  const Classified other = classify_failure(grpc_destination(), TransportFailure::NotGrpc);
  EXPECT_EQ(shown(other), "hold wrong_endpoint");
  EXPECT_EQ(other.message,
            "no gRPC is spoken at the host and port in endpoint: receivers mostly do at port 4317; "
            "else set protocol to http");
}

}  // namespace
}  // namespace gantry::broadcast
