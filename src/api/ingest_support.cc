#include "api/ingest_support.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "core/hash.h"

namespace gantry::api {
namespace {

using telemetry::RejectReason;

constexpr std::uint32_t kRetrySecondsMin = 6;
constexpr std::uint32_t kRetrySecondsMax = 96;

/// The part after "err-gantry-" is Mimir's identifier for the same situation, which clients search
/// for.
std::string_view error_id(RejectReason reason) {
  switch (reason) {
    case RejectReason::OutOfOrder:
      return "sample-out-of-order";
    case RejectReason::TooOld:
      return "sample-timestamp-too-old";
    case RejectReason::Duplicate:
      return "sample-duplicate-timestamp";
    case RejectReason::TooFarInFuture:
      return "too-far-in-future";
    case RejectReason::InvalidLabels:
      return "label-invalid";
    case RejectReason::LabelLimit:
      return "label-limit";
    case RejectReason::InvalidHistogram:
      return "native-histogram-invalid";
    case RejectReason::SeriesLimit:
      return "max-active-series";
    case RejectReason::InvalidExemplar:
      return "exemplar-invalid";
    case RejectReason::MetadataLimit:
      return "metadata-limit";
    case RejectReason::BytesPerDay:
      return "max-bytes-per-day";
  }
  return "unknown";
}

access::AccessResult<access::StackView> widen_for_import(
    const Services& services, access::AccessResult<access::StackView> view) {
  if (view && view->principal().scopes.contains(access::Scope::MetricsImport)) {
    return services.gate.open(view->principal(), access::Scope::MetricsImport);
  }
  return view;
}

}  // namespace

IngestMetrics::IngestMetrics(core::MetricRegistry& registry, std::string_view protocol) {
  const std::string name(protocol);
  samples_ = &registry.counter("gantry_ingest_samples_total", "Float samples stored.",
                               {{"protocol", name}});
  histograms_ = &registry.counter("gantry_ingest_histograms_total", "Native histograms stored.",
                                  {{"protocol", name}});
  exemplars_ =
      &registry.counter("gantry_ingest_exemplars_total", "Exemplars stored.", {{"protocol", name}});
  for (std::size_t i = 0; i < rejected_.size(); ++i) {
    const auto reason = static_cast<RejectReason>(i);
    rejected_[i] = &registry.counter(
        "gantry_ingest_rejected_total", "Items refused, by reason.",
        {{"protocol", name}, {"reason", std::string(telemetry::reject_reason_name(reason))}});
  }
}

void IngestMetrics::record(const telemetry::AppendResult& result) const {
  samples_->add(result.samples_written);
  histograms_->add(result.histograms_written);
  exemplars_->add(result.exemplars_written);
  for (std::size_t i = 0; i < rejected_.size(); ++i) {
    if (result.rejected_counts[i] != 0) rejected_[i]->add(result.rejected_counts[i]);
  }
}

SpanIngestMetrics::SpanIngestMetrics(core::MetricRegistry& registry, std::string_view protocol) {
  const std::string name(protocol);
  spans_ = &registry.counter("gantry_ingest_spans_total", "Spans stored.", {{"protocol", name}});
  repeated_ = &registry.counter("gantry_ingest_repeated_spans_total",
                                "Of those, spans that were there before.", {{"protocol", name}});
  for (std::size_t i = 0; i < rejected_.size(); ++i) {
    const auto reason = static_cast<telemetry::SpanRejectReason>(i);
    rejected_[i] = &registry.counter(
        "gantry_ingest_rejected_spans_total", "Spans refused, by reason.",
        {{"protocol", name}, {"reason", std::string(telemetry::span_reject_reason_name(reason))}});
  }
}

void SpanIngestMetrics::record(const codec::OtlpTracesOutcome& outcome,
                               const telemetry::SpanAppendResult& result) const {
  spans_->add(result.spans_written);
  repeated_->add(result.spans_repeated);
  rejected_[static_cast<std::size_t>(telemetry::SpanRejectReason::InvalidId)]->add(
      outcome.rejected_spans);
  for (std::size_t i = 0; i < rejected_.size(); ++i) rejected_[i]->add(result.rejected_counts[i]);
}

access::AccessResult<access::StackView> admit_writer(const Services& services,
                                                     const net::Request& request,
                                                     bool accepts_token_scheme) {
  return widen_for_import(
      services, services.gate.admit(request, {.scope = access::Scope::MetricsWrite,
                                              .accepts_token_scheme = accepts_token_scheme}));
}

access::AccessResult<access::StackView> admit_writer(const Services& services,
                                                     const access::RawCredentials& credentials) {
  return widen_for_import(services,
                          services.gate.admit(credentials, {.scope = access::Scope::MetricsWrite}));
}

Result<std::string_view> inflate_body(const net::Request& request, codec::SnappyForm snappy,
                                      std::uint64_t bytes_max, std::string& buffer) {
  GANTRY_TRY(const codec::Encoding encoding,
             codec::parse_encoding(request.headers.find("Content-Encoding"), snappy));
  if (encoding == codec::Encoding::Identity) return request.body;
  GANTRY_CHECK(codec::decompress(
      encoding, request.body, {.bytes = bytes_max, .setting = "http.body_decompressed_bytes_max"},
      buffer));
  return buffer;
}

Verdict verdict_of(const telemetry::AppendResult& result) {
  // Of what has no samples, metadata say, too.
  if (result.retry_after.count > 0) return Verdict::Limited;
  if (result.samples_rejected == 0) return Verdict::Accepted;
  return result.rejected(RejectReason::SeriesLimit) > 0 ? Verdict::Limited : Verdict::BadData;
}

std::string describe_rejections(const telemetry::AppendResult& result) {
  return describe_rejections(result, result.samples_rejected, "samples");
}

std::string describe_rejections(const telemetry::AppendResult& result, std::uint64_t count,
                                std::string_view items) {
  if (result.samples_rejected == 0 && result.rejections.empty()) return {};
  std::string out = fmt::format("{} {} were refused", count, items);
  std::string_view separator = ": ";
  for (const telemetry::Rejection& rejection : result.rejections) {
    out += separator;
    out += rejection.message;
    fmt::format_to(std::back_inserter(out), " (err-gantry-{})", error_id(rejection.reason));
    separator = "; ";
  }
  return out;
}

std::string describe_rejections(const telemetry::SpanAppendResult& result) {
  if (result.spans_rejected() == 0) return {};
  return fmt::format("{} spans were refused: {}", result.spans_rejected(),
                     fmt::join(result.messages, "; "));
}

bool is_limited(const telemetry::SpanAppendResult& result) {
  using telemetry::SpanRejectReason;
  const auto count = [&](SpanRejectReason reason) {
    return result.rejected_counts[static_cast<std::size_t>(reason)];
  };
  return result.retry_after.count > 0 || count(SpanRejectReason::LiveTraces) > 0 ||
         count(SpanRejectReason::RateLimited) > 0;
}

int ingest_status(const Error& error) {
  if (error.code == Code::ResourceExhausted) return 413;
  // Senders give up on 500 and resend on 503.
  if (error.code == Code::Internal || error.code == Code::DataLoss) return 503;
  return net::http_status(error.code);
}

std::uint32_t retry_after_seconds(const net::Request& request, DurationMs known) {
  if (known.count <= 0) return retry_after_seconds(request);
  return static_cast<std::uint32_t>((known.count + 999) / 1000);
}

std::uint32_t retry_after_seconds(const net::Request& request) {
  const std::string_view text = request.headers.find("Retry-Attempt");
  std::uint32_t attempt = 1;
  std::from_chars(text.data(), text.data() + text.size(), attempt);
  const std::uint32_t doublings = std::min<std::uint32_t>(attempt == 0 ? 0 : attempt - 1, 4);
  const std::uint32_t base = std::min(kRetrySecondsMax, kRetrySecondsMin << doublings);
  // The request id is random enough to keep senders from coming back all at once.
  const auto spread = static_cast<std::uint32_t>(core::hash64(request.request_id) % (base + 1));
  return std::clamp(base / 2 + spread, kRetrySecondsMin, kRetrySecondsMax);
}

}  // namespace gantry::api
