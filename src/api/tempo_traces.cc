// Traces by id, and what Grafana asks before it asks for anything else.

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/prometheus_support.h"
#include "api/tempo_support.h"
#include "api/tempo_trace_filter.h"
#include "codec/tempo_trace.h"
#include "core/json_writer.h"
#include "core/own_span.h"
#include "core/version.h"

namespace gantry::api {
namespace {

/// Of the Tempo whose API this is: Grafana asks it what it may use.
constexpr std::string_view kTempoVersion = "2.9.0";

enum class ApiVersion : std::uint8_t { V1, V2 };

class TraceApi {
 public:
  explicit TraceApi(const Services& services) : services_(services) {}

  TempoResult<net::Response> find(net::Request& request, const access::StackView& view,
                                  ApiVersion version) const {
    const auto id = parse_trace_id(request.path_parameter("id"));
    if (!id) return std::unexpected(id.error());
    const auto parameters = TempoParameters::read(request);
    if (!parameters) return std::unexpected(parameters.error());
    const auto range = read_seconds(*parameters);
    if (!range) return std::unexpected(range.error());
    if (auto checked = check_mode(*parameters); !checked) return std::unexpected(checked.error());
    std::optional<TraceFilter> filter;
    if (version == ApiVersion::V2) {
      auto read = read_trace_filter(*parameters);
      if (!read) return std::unexpected(read.error());
      filter = *std::move(read);
    }

    const Settings settings = settings_for(services_, view);
    telemetry::SpanBatch batch;
    {
      const core::OwnSpanScope span("traces.find");
      const auto found = view.traces_source().find_trace(
          *id, range->start_ns(), range->end_ns(),
          with_timeout(request.cancel, settings.query_timeout), batch);
      if (!found) return std::unexpected(tempo_error(found.error()));
      core::annotate_own_span("gantry.trace.spans", static_cast<std::int64_t>(batch.spans.size()));
    }
    const TempoFormat format = accepted_format(request);
    return version == ApiVersion::V1 ? answer_v1(std::move(batch), format, settings)
                                     : answer_v2(std::move(batch), filter, format, settings, view);
  }

 private:
  /// `mode` chooses among Tempo's components; here there is one.
  static TempoResult<void> check_mode(const TempoParameters& parameters) {
    const std::string_view mode = parameters.text("mode");
    for (const std::string_view known : {"", "all", "ingesters", "blocks", "external"})
      if (mode == known) return {};
    return tempo_bad_request(fmt::format("invalid value for mode {}", mode));
  }

  static TempoResult<net::Response> answer_v1(telemetry::SpanBatch batch, TempoFormat format,
                                              const Settings& settings) {
    if (batch.spans.empty()) return std::unexpected(TempoError{.status = 404, .message = {}});
    const std::uint64_t bytes_max = settings.tempo.trace_bytes_max;
    if (bytes_max != 0 && codec::estimate_trace_bytes(batch) > bytes_max)
      return std::unexpected(
          TempoError{.status = 422,
                     .message = fmt::format("trace exceeds max size (max bytes: {})", bytes_max)});
    return tempo_response(format, format == TempoFormat::Protobuf
                                      ? codec::encode_tempo_trace(batch)
                                      : codec::encode_tempo_trace_json(batch));
  }

  /// A trace that does not exist is an empty one: Grafana then says so in its own words.
  static TempoResult<net::Response> answer_v2(telemetry::SpanBatch batch,
                                              const std::optional<TraceFilter>& filter,
                                              TempoFormat format, const Settings& settings,
                                              const access::StackView& view) {
    codec::TempoTraceNotes notes;
    if (!view.is_restricted()) notes.inspected_bytes = codec::estimate_trace_bytes(batch);
    std::vector<std::string> reasons;
    if (filter) {
      const auto dropped = apply(*filter, batch);
      if (!dropped) return std::unexpected(tempo_error(dropped.error()));
      if (*dropped)
        reasons.emplace_back(
            "Trace filtered, only a subset of spans matching the filter is returned");
    }
    const std::uint64_t bytes_max = settings.tempo.trace_bytes_max;
    if (bytes_max != 0 && codec::cut_trace(batch, bytes_max))
      reasons.push_back(fmt::format(
          "Trace exceeds maximum size of {} bytes, a partial trace is returned", bytes_max));
    notes.partial_message = fmt::format("{}", fmt::join(reasons, "; "));
    return tempo_response(format, format == TempoFormat::Protobuf
                                      ? codec::encode_tempo_trace_by_id(batch, notes)
                                      : codec::encode_tempo_trace_by_id_json(batch, notes));
  }

  const Services& services_;
};

void record_deletion(const Services& services, const access::StackView& view,
                     const net::Request& request) {
  if (services.audit == nullptr) return;
  auto event = stack_event("trace.deleted", view.principal(), request);
  event.target = {.type = "trace", .id = std::string(request.path_parameter("id")), .name = {}};
  services.audit->note(std::move(event));
}

std::string buildinfo_json() {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.key("version").string(kTempoVersion);
  json.key("revision").string(core::revision());
  for (const std::string_view key : {"branch", "buildUser", "buildDate", "goVersion"})
    json.key(key).string("");
  json.end_object();
  return out;
}

}  // namespace

void add_tempo_trace_routes(net::Router& router, const Services& services, TempoRefusals refusals) {
  const TraceApi api(services);
  const auto add = [&](std::string_view path, std::string_view name, TempoHandler handler) {
    add_tempo_route(router, net::Method::Get, path, name, services, access::Scope::TracesRead,
                    refusals, std::move(handler));
  };
  add("/api/traces/{id}", "trace", [api](net::Request& request, const access::StackView& view) {
    return api.find(request, view, ApiVersion::V1);
  });
  add("/api/v2/traces/{id}", "trace_v2",
      [api](net::Request& request, const access::StackView& view) {
        return api.find(request, view, ApiVersion::V2);
      });
  add("/api/echo", "tempo_echo",
      [](net::Request&, const access::StackView&) -> TempoResult<net::Response> {
        return net::text_response(200, "echo");
      });
  add("/api/status/buildinfo", "tempo_buildinfo",
      [](net::Request&, const access::StackView&) -> TempoResult<net::Response> {
        return tempo_response(TempoFormat::Json, buildinfo_json());
      });
}

void add_tempo_delete_route(net::Router& router, const Services& services) {
  add_tempo_route(router, net::Method::Delete, "/api/traces/{id}", "delete_trace", services,
                  access::Scope::TracesDelete, TempoRefusals::Text,
                  [&services](net::Request& request,
                              const access::StackView& view) -> TempoResult<net::Response> {
                    const auto id = parse_trace_id(request.path_parameter("id"));
                    if (!id) return std::unexpected(id.error());
                    const auto deleted = view.delete_trace(*id);
                    if (!deleted) return std::unexpected(tempo_error(deleted.error()));
                    if (*deleted) record_deletion(services, view, request);
                    return net::Response{.status = *deleted ? 204 : 404};
                  });
}

}  // namespace gantry::api
