#include "broadcast/verdict.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>

#include <fmt/format.h>

#include "broadcast/verdict_internal.h"
#include "codec/otlp_answer.h"
#include "core/utf8.h"
#include "net/egress_url.h"

namespace gantry::broadcast {
namespace {

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_otlp(DestinationType type) {
  return type == DestinationType::Grafana || type == DestinationType::OtelCollector ||
         type == DestinationType::Gantry;
}

codec::OtlpEncoding answer_encoding(const ExportAnswer& answer) {
  const auto encoding = codec::parse_otlp_content_type(answer.headers.find("Content-Type"));
  return encoding ? *encoding : codec::OtlpEncoding::Json;
}

bool is_html(const ExportAnswer& answer) {
  return lower_case(answer.headers.find("Content-Type")).starts_with("text/html");
}

/// What the receiver said, in its own words; "" when it is a page for people or must not be quoted.
std::string words_of(const DestinationConfig& config, const ExportAnswer& answer) {
  if (is_html(answer)) return "";
  std::string text = codec::decode_status_message(answer_encoding(answer), answer.body);
  if (text.empty() && core::is_valid_utf8(answer.body)) text = answer.body;
  return quotable(config, text);
}

bool is_dashboard_url(const Destination& destination) {
  const auto url = net::parse_egress_url(destination.config.url);
  return url && url->host.ends_with(".grafana.net") && !url->host.starts_with("otlp-gateway-");
}

std::string endpoint_advice(const Destination& destination) {
  const std::string_view field = config_field_names(destination.type).url;
  switch (destination.type) {
    case DestinationType::Grafana:
      if (is_dashboard_url(destination))
        return fmt::format(
            "{} is the dashboard URL: use the OTLP gateway URL "
            "(https://otlp-gateway-<region>.grafana.net), not the dashboard URL",
            field);
      return fmt::format("check {}: use the OTLP gateway URL, not the dashboard URL", field);
    case DestinationType::Gantry:
      return fmt::format("check {}: it is the other Gantry's address without a path", field);
    case DestinationType::OtelCollector:
      return fmt::format(
          "check {}: nothing is appended to it, an OTLP/HTTP receiver mostly ends in {}",
          signal_of(destination) == Signal::Spans ? field : "metricsEndpoint",
          signal_of(destination) == Signal::Spans ? "/v1/traces" : "/v1/metrics");
    case DestinationType::Webhook:
      return fmt::format("check {} and method", field);
    case DestinationType::PrometheusRemoteWrite:
    case DestinationType::Influx:
      return fmt::format("check {}: it is used as it is, with its path", field);
  }
  return fmt::format("check {}", field);
}

Classified wrong_endpoint(const Destination& destination, std::string_view what,
                          std::string_view words, Verdict verdict) {
  Classified classified{.verdict = verdict, .kind = FailureKind::WrongEndpoint};
  set_message(classified, fmt::format("{}; {}", what, endpoint_advice(destination)), words);
  return classified;
}

/// Remote write 2 says how much it took; a receiver that does not speaks version 1 only.
bool lacks_written_headers(const Destination& destination, const ExportAnswer& answer) {
  return destination.type == DestinationType::PrometheusRemoteWrite &&
         destination.config.remote_write_version == 2 &&
         !answer.headers.contains("X-Prometheus-Remote-Write-Samples-Written");
}

Classified classify_success(const Destination& destination, const ExportAnswer& answer) {
  // A webhook is any program, and some answer a page whatever they did.
  if (is_html(answer) && destination.type != DestinationType::Webhook)
    return wrong_endpoint(destination, "a web page answered", "", Verdict::Hold);
  if (lacks_written_headers(destination, answer))
    return {.verdict = Verdict::Fallback,
            .kind = FailureKind::WrongEndpoint,
            .message =
                "the receiver does not say what it has taken, as version 2 of remote write "
                "asks: set version to 1"};
  if (!is_otlp(destination.type)) return {};
  return classify_partial_success(destination, answer_encoding(answer), answer.body);
}

/// Mimir stores what is good in a request, and names what is not.
bool stores_the_rest(const Destination& destination, const ExportAnswer& answer) {
  return destination.type == DestinationType::PrometheusRemoteWrite && answer.status == 400 &&
         (answer.body.contains("err-mimir-sample-") ||
          answer.body.contains("err-mimir-too-far-in-"));
}

Classified classify_bad_request(const Destination& destination, const ExportAnswer& answer,
                                std::string_view words) {
  Classified classified{.kind = FailureKind::BadRequest};
  if (stores_the_rest(destination, answer)) {
    classified.kind = FailureKind::Rejected;
    classified.rejected_items = 1;
    set_message(classified, "the receiver rejected some samples", words);
    return classified;
  }
  switch (answer.status) {
    case 400:
    case 409:
    case 422:
      classified.verdict = Verdict::Bisect;
      set_message(classified, fmt::format("the receiver refused the data with {}", answer.status),
                  words);
      return classified;
    case 413:
      classified.verdict = Verdict::Split;
      set_message(classified, "the receiver finds the request too large (413)", words);
      return classified;
    default:
      classified.verdict = Verdict::Refuse;
      set_message(classified, fmt::format("the receiver answered {}", answer.status), words);
      return classified;
  }
}

Classified classify_rate_limited(const Destination& destination, const ExportAnswer& answer,
                                 std::string_view words, TimestampMs now) {
  Classified classified{.verdict = Verdict::Retry, .kind = FailureKind::RateLimited};
  // Some gateways mean the size of one request when they say 429.
  if (answer.body.contains("larger than max"))
    classified.verdict = Verdict::Split;
  else
    classified.retry_after = parse_retry_after(answer.headers.find("Retry-After"), now);
  set_message(
      classified,
      fmt::format("the receiver limits the rate (429); ask there for a higher limit of this "
                  "{}",
                  destination.config.instance_id.empty() ? "sender" : "instance"),
      words);
  return classified;
}

Classified classify_server_error(const Destination& destination, const ExportAnswer& answer,
                                 std::string_view words, TimestampMs now) {
  Classified classified{.verdict = Verdict::Retry, .kind = FailureKind::ServerError};
  classified.retry_after = parse_retry_after(answer.headers.find("Retry-After"), now);
  const bool is_temporary = answer.status >= 502 && answer.status <= 504;
  if (is_otlp(destination.type) && !is_temporary) classified.retries_max = kServerErrorRetriesMax;
  set_message(classified, fmt::format("the receiver answered {}", answer.status), words);
  return classified;
}

/// Digits only; a number that is too large is large enough.
std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::numeric_limits<std::uint32_t>::max();
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT", in seconds since the epoch.
std::optional<std::int64_t> parse_http_date(std::string_view value) {
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (value.size() != 29 || value.substr(3, 2) != ", " || value.substr(25) != " GMT")
    return std::nullopt;
  const std::size_t month = kMonths.find(value.substr(8, 3));
  const auto day = parse_number(value.substr(5, 2));
  const auto year = parse_number(value.substr(12, 4));
  const auto hour = parse_number(value.substr(17, 2));
  const auto minute = parse_number(value.substr(20, 2));
  const auto second = parse_number(value.substr(23, 2));
  if (month == std::string_view::npos || month % 3 != 0 || !day || !year || !hour || !minute ||
      !second || *hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(month) / 3 + 1),
                                         std::chrono::day(*day));
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86'400 + std::int64_t{*hour} * 3600 + std::int64_t{*minute} * 60 + *second;
}

}  // namespace

std::string_view failure_kind_name(FailureKind kind) {
  static constexpr std::array<std::string_view, kFailureKindCount> kNames = {"",
                                                                             "invalid_config",
                                                                             "dns",
                                                                             "connect",
                                                                             "tls",
                                                                             "timeout",
                                                                             "unauthorized",
                                                                             "wrong_endpoint",
                                                                             "bad_request",
                                                                             "rate_limited",
                                                                             "server_error",
                                                                             "rejected"};
  return kNames.at(static_cast<std::size_t>(kind));
}

Classified classify_partial_success(const Destination& destination, codec::OtlpEncoding encoding,
                                    std::string_view body) {
  Classified classified;
  const bool is_spans = signal_of(destination) == Signal::Spans;
  auto partial = codec::decode_otlp_response(
      encoding, is_spans ? codec::OtlpSignal::Traces : codec::OtlpSignal::Metrics, body);
  // With a 2xx the data was taken, whatever the body looks like.
  if (!partial || (partial->rejected == 0 && partial->message.empty())) return classified;
  partial->message = quotable(destination.config, partial->message);
  classified.rejected_items = partial->rejected;
  if (partial->rejected == 0) {
    classified.message = one_line(partial->message, kVerdictMessageBytesMax);
    return classified;
  }
  classified.kind = FailureKind::Rejected;
  set_message(classified,
              fmt::format("the receiver rejected {} {}", partial->rejected,
                          is_spans ? "spans" : "data points"),
              partial->message);
  return classified;
}

Classified classify_answer(const Destination& destination, const ExportAnswer& answer,
                           TimestampMs now) {
  if (answer.rpc) return classify_rpc(destination, *answer.rpc, answer.body);
  const int status = answer.status;
  if (status >= 200 && status < 300) return classify_success(destination, answer);
  const std::string words = words_of(destination.config, answer);
  if (status >= 300 && status < 400)
    return wrong_endpoint(destination, fmt::format("the receiver redirects ({})", status), words,
                          Verdict::Hold);
  switch (status) {
    case 401:
    case 403: {
      Classified classified{.verdict = Verdict::Hold, .kind = FailureKind::Unauthorized};
      set_message(classified,
                  fmt::format("the receiver refused the credentials ({}); {}", status,
                              unauthorized_advice(destination)),
                  words);
      return classified;
    }
    case 404:
    case 405:
      return wrong_endpoint(destination, fmt::format("the receiver answered {}", status), words,
                            Verdict::Hold);
    case 415:
      return wrong_endpoint(destination, "the receiver does not take this encoding (415)", words,
                            Verdict::Fallback);
    case 408: {
      Classified classified{.verdict = Verdict::Retry, .kind = FailureKind::Timeout};
      set_message(classified, "the receiver waited too long for the request (408)", words);
      return classified;
    }
    case 429:
      return classify_rate_limited(destination, answer, words, now);
    default:
      break;
  }
  if (status >= 400 && status < 500) return classify_bad_request(destination, answer, words);
  return classify_server_error(destination, answer, words, now);
}

Classified classify_failure(const Destination& destination, TransportFailure failure) {
  const std::string_view field = config_field_names(destination.type).url;
  Classified classified{.verdict = Verdict::Retry};
  switch (failure) {
    case TransportFailure::Dns:
      classified.kind = FailureKind::Dns;
      classified.message = fmt::format("the host in {} has no address", field);
      break;
    case TransportFailure::Connect:
      classified.kind = FailureKind::Connect;
      classified.message = fmt::format("no connection to the host and port in {}", field);
      break;
    case TransportFailure::Tls:
      classified.verdict = Verdict::Hold;
      classified.kind = FailureKind::Tls;
      classified.message = fmt::format(
          "the host in {} has no trusted certificate for its name, or speaks no TLS", field);
      break;
    case TransportFailure::Timeout:
    case TransportFailure::Cancelled:
      classified.kind = FailureKind::Timeout;
      classified.message = fmt::format("the host in {} did not answer in time", field);
      break;
    case TransportFailure::NotGrpc:
      classified.verdict = Verdict::Hold;
      classified.kind = FailureKind::WrongEndpoint;
      classified.message = fmt::format(
          "no gRPC is spoken at the host and port in {}: receivers mostly do at port 4317; else "
          "set "
          "protocol to http",
          field);
      break;
    case TransportFailure::Broken:
      classified.kind = FailureKind::Connect;
      classified.message = fmt::format("the host in {} closed the connection", field);
      break;
    case TransportFailure::Blocked:
      classified.verdict = Verdict::Hold;
      classified.kind = FailureKind::InvalidConfig;
      classified.message = fmt::format("{}: this address may not be sent to", field);
      break;
  }
  return classified;
}

Classified classify_config_error(std::string_view why) {
  return {.verdict = Verdict::Hold,
          .kind = FailureKind::InvalidConfig,
          .message = one_line(why, kVerdictMessageBytesMax)};
}

std::optional<DurationMs> parse_retry_after(std::string_view value, TimestampMs now) {
  std::optional<std::int64_t> delay_ms;
  if (const auto seconds = parse_number(value)) {
    delay_ms = std::int64_t{*seconds} * 1000;
  } else if (const auto date_seconds = parse_http_date(value)) {
    delay_ms = *date_seconds * 1000 - now.since_epoch;
  }
  if (!delay_ms || *delay_ms <= 0) return std::nullopt;
  return DurationMs{std::min(*delay_ms, kRetryAfterMaxMs)};
}

}  // namespace gantry::broadcast
