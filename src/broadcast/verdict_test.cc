#include "broadcast/verdict.h"

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "broadcast/testing/destinations.h"
#include "codec/otlp_response.h"

namespace gantry::broadcast {
namespace {

using namespace testing;

constexpr TimestampMs kNow{1'790'000'000'000};

Classified classify(const Destination& destination, int status, std::string body = "",
                    std::initializer_list<std::pair<std::string, std::string>> headers = {}) {
  ExportAnswer answer{.status = status, .body = std::move(body)};
  for (const auto& [name, value] : headers) answer.headers.add(name, value);
  return classify_answer(destination, answer, kNow);
}

/// In the words of the published table.
std::string action_of(const Classified& classified) {
  switch (classified.verdict) {
    case Verdict::Done:
      if (classified.rejected_items > 0)
        return "done_count_rejected:" + std::to_string(classified.rejected_items);
      return classified.message.empty() ? "done" : "done_log_warning";
    case Verdict::Retry:
      if (classified.retry_after)
        return "retry_after:" + std::to_string(classified.retry_after->count / 1000);
      if (classified.retries_max) return "retry_max:" + std::to_string(*classified.retries_max);
      return "retry";
    case Verdict::Split:
      return "split";
    case Verdict::Bisect:
    case Verdict::Refuse:
      return "drop";
    case Verdict::Hold:
      return "hold";
    case Verdict::Fallback:
      return "fallback";
  }
  return "";
}

std::string body_text(const nlohmann::json& row) {
  if (!row.contains("body")) return "";
  return row["body"].is_string() ? row["body"].get<std::string>() : row["body"].dump();
}

Classified classify_row(Destination destination, const nlohmann::json& row) {
  if (row["status"].is_string()) {
    const std::map<std::string, TransportFailure> kFailures = {
        {"connection_refused", TransportFailure::Connect},
        {"timeout", TransportFailure::Timeout},
        {"connection_reset_mid_body", TransportFailure::Broken},
        {"tls_error", TransportFailure::Tls}};
    return classify_failure(destination, kFailures.at(row["status"]));
  }
  if (row["action"] == "fallback_v1") destination.config.remote_write_version = 2;
  ExportAnswer answer{.status = row["status"], .body = body_text(row)};
  if (row.contains("headers")) {
    for (const auto& [name, value] : row["headers"].items()) answer.headers.add(name, value);
  }
  return classify_answer(destination, answer, kNow);
}

/// A table that is not part of this repository, or nothing where it is absent.
std::optional<nlohmann::json> read_retry_decisions() {
  const char* const directory = std::getenv("GANTRY_CONFORMANCE_DIR");
  std::string path = directory != nullptr ? directory : GANTRY_CONFORMANCE_DEFAULT;
  std::ifstream file(path.append("/wire/out/retry-decisions.json"), std::ios::binary);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

TEST(Verdict, FollowsThePublishedTable) {
  const std::optional<nlohmann::json> published = read_retry_decisions();
  if (!published) {
    GTEST_SKIP() << "no wire/out/retry-decisions.json: set GANTRY_CONFORMANCE_DIR to the vectors";
  }
  const nlohmann::json& table = *published;
  const std::map<std::string, std::vector<Destination>> kDestinations = {
      {"otlp-http", {grafana_destination(), collector_destination(), gantry_destination()}},
      {"remote-write", {remote_write_destination()}},
      {"influx", {influx_destination()}}};
  int rows = 0;
  for (const auto& row : table["cases"]) {
    // No destination speaks gRPC.
    if (row["protocol"] == "otlp-grpc") continue;
    std::string expected = row["action"];
    // What is rejected of a remote write is not counted there: that there was some is known.
    if (expected == "drop_record") expected = "done_count_rejected:1";
    if (expected == "fallback_v1") expected = "fallback";
    for (const Destination& destination : kDestinations.at(row["protocol"]))
      EXPECT_EQ(action_of(classify_row(destination, row)), expected) << row;
    ++rows;
  }
  EXPECT_GT(rows, 60);
}

TEST(Verdict, WebhooksAreRetriedOnEveryServerError) {
  EXPECT_EQ(action_of(classify(webhook_destination(), 500)), "retry");
  EXPECT_EQ(action_of(classify(webhook_destination(), 599)), "retry");
  EXPECT_EQ(action_of(classify(webhook_destination(), 200, "<p>", {{"content-type", "text/html"}})),
            "done");
  EXPECT_EQ(action_of(classify(grafana_destination(), 200, "<p>",
                               {{"content-type", "Text/HTML; charset=utf-8"}})),
            "hold");
}

TEST(Verdict, TellsItemsToBlameFromOthers) {
  for (const int status : {400, 409, 422})
    EXPECT_EQ(classify(grafana_destination(), status).verdict, Verdict::Bisect) << status;
  for (const int status : {402, 406, 410, 418})
    EXPECT_EQ(classify(grafana_destination(), status).verdict, Verdict::Refuse) << status;
  EXPECT_EQ(classify(grafana_destination(), 429, "message larger than max (5 vs 4)").verdict,
            Verdict::Split);
  EXPECT_EQ(classify(grafana_destination(), 408).verdict, Verdict::Retry);
}

TEST(Verdict, ReadsPartialSuccessInBothEncodings) {
  for (const auto encoding : {codec::OtlpEncoding::Json, codec::OtlpEncoding::Protobuf}) {
    const Classified classified =
        classify(grafana_destination(), 200,
                 codec::encode_otlp_response(encoding, codec::OtlpSignal::Traces, 2, "too old"),
                 {{"Content-Type", std::string(codec::otlp_content_type(encoding))}});
    EXPECT_EQ(classified.verdict, Verdict::Done);
    EXPECT_EQ(classified.kind, FailureKind::Rejected);
    EXPECT_EQ(classified.rejected_items, 2U);
    EXPECT_EQ(classified.message, "the receiver rejected 2 spans; the answer: too old");
  }
  EXPECT_EQ(classify(narrowed_to(grafana_destination(), Signal::Metrics), 200,
                     R"({"partialSuccess":{"rejectedDataPoints":"3"}})")
                .message,
            "the receiver rejected 3 data points");
  EXPECT_EQ(classify(grafana_destination(), 200, "OK").kind, FailureKind::None);
}

TEST(Verdict, NamesTheFieldToChange) {
  Destination dashboard = grafana_destination();
  dashboard.config.url = "https://my-stack.grafana.net";
  EXPECT_EQ(classify(dashboard, 404).message,
            "the receiver answered 404; baseUrl is the dashboard URL: use the OTLP gateway URL "
            "(https://otlp-gateway-<region>.grafana.net), not the dashboard URL");
  EXPECT_TRUE(classify(grafana_destination(), 404).message.contains("OTLP gateway URL"));
  EXPECT_TRUE(classify(grafana_destination(), 401).message.contains("instanceId and apiKey"));
  EXPECT_TRUE(classify(gantry_destination(), 403).message.contains("instanceId and token"));
  EXPECT_TRUE(classify(remote_write_destination(), 401).message.contains("username and token"));
  EXPECT_TRUE(classify(influx_destination(), 403).message.contains("username and token"));
  EXPECT_TRUE(classify(collector_destination(), 401).message.contains("headers"));
  EXPECT_TRUE(classify(collector_destination(), 405).message.contains("endpoint"));
  EXPECT_TRUE(classify(webhook_destination(), 302).message.contains("check url and method"));
  EXPECT_EQ(classify_failure(webhook_destination(), TransportFailure::Dns).message,
            "the host in url has no address");
  const Classified blocked = classify_failure(webhook_destination(), TransportFailure::Blocked);
  EXPECT_EQ(blocked.verdict, Verdict::Hold);
  EXPECT_EQ(failure_kind_name(blocked.kind), "invalid_config");
}

TEST(Verdict, QuotesTheAnswerWithoutSecrets) {
  EXPECT_EQ(classify(grafana_destination(), 400, R"({"message":"bad \n span"})").message,
            "the receiver refused the data with 400; the answer: bad   span");
  EXPECT_EQ(classify(grafana_destination(), 400, "no glc_secret, MTIzNDU2OmdsY19zZWNyZXQ=").message,
            "the receiver refused the data with 400; the answer: no ****, ****");
  EXPECT_EQ(classify(collector_destination(), 400, "Bearer header-secret header-secret").message,
            "the receiver refused the data with 400; the answer: **** ****");
  EXPECT_EQ(classify(grafana_destination(), 200,
                     R"({"partialSuccess":{"rejectedSpans":1,"errorMessage":"glc_secret"}})")
                .message,
            "the receiver rejected 1 spans; the answer: ****");
  EXPECT_EQ(classify(collector_destination(), 400, "Bearer\theader-\nsecret\nBearer\nheader-secret")
                .message,
            "the receiver refused the data with 400; the answer: Bearer header- secret ****");
  Destination tiny = collector_destination();
  tiny.config.headers = {{"X-Key", "ab"}};
  EXPECT_EQ(classify(tiny, 400, "cabbage").message, "the receiver refused the data with 400");
  EXPECT_EQ(classify(grafana_destination(), 500, "<html>", {{"content-type", "text/html"}}).message,
            "the receiver answered 500");
}

TEST(Verdict, MessagesAreShort) {
  std::string long_text;
  while (long_text.size() < 5000) long_text += "ä";
  const Classified classified = classify(grafana_destination(), 500, long_text);
  EXPECT_LE(classified.message.size(), kVerdictMessageBytesMax);
  EXPECT_GE(classified.message.size(), kVerdictMessageBytesMax - 1);
  EXPECT_TRUE(classified.message.ends_with("ä"));
  EXPECT_EQ(classify_config_error(std::string(5000, 'x')).message.size(), kVerdictMessageBytesMax);
}

TEST(RetryAfter, ReadsSecondsAndDates) {
  const auto ms = [](std::string_view value) {
    const auto delay = parse_retry_after(value, TimestampMs{784'111'777'000});
    return delay ? delay->count : -1;
  };
  EXPECT_EQ(ms("30"), 30'000);
  EXPECT_EQ(ms("0"), -1);
  EXPECT_EQ(ms("-1"), -1);
  EXPECT_EQ(ms(""), -1);
  EXPECT_EQ(ms("30s"), -1);
  EXPECT_EQ(ms("7200"), 3'600'000);
  EXPECT_EQ(ms("99999999999999999999"), 3'600'000);
  EXPECT_EQ(ms("Sun, 06 Nov 1994 08:49:37 GMT"), -1);  // Now.
  EXPECT_EQ(ms("Sun, 06 Nov 1994 08:50:37 GMT"), 60'000);
  EXPECT_EQ(ms("Mon, 07 Nov 1994 08:49:37 GMT"), 3'600'000);
  EXPECT_EQ(ms("Sun, 06 Nov 1994 07:49:37 GMT"), -1);
  EXPECT_EQ(ms("Sun, 06 Nox 1994 08:50:37 GMT"), -1);
  EXPECT_EQ(ms("Sun, 31 Feb 1995 08:50:37 GMT"), -1);
  EXPECT_EQ(ms("Sun, 06 Nov 1994 25:50:37 GMT"), -1);
}

}  // namespace
}  // namespace gantry::broadcast
