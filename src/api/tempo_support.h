#pragma once

// What all endpoints of Tempo's API share: parameters, times, ids, errors.

#include <cstdint>
#include <expected>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "access/gate.h"
#include "api/services.h"
#include "api/tempo.h"
#include "core/error.h"
#include "core/own_span.h"
#include "net/http.h"
#include "net/router.h"
#include "telemetry/span_batch.h"
#include "traceql/engine.h"

namespace gantry::api {

/// An answer of plain text.
struct TempoError {
  int status = 400;
  std::string message;
};

template <class T>
using TempoResult = std::expected<T, TempoError>;

[[nodiscard]] std::unexpected<TempoError> tempo_bad_request(std::string message);

/// The engine's and the store's errors in this API's terms.
[[nodiscard]] TempoError tempo_error(const Error& error);

/// A handler that has been let in.
using TempoHandler =
    std::function<TempoResult<net::Response>(net::Request&, const access::StackView&)>;

/// Adds the route with its scope declared and checked.
void add_tempo_route(net::Router& router, net::Method method, std::string_view path,
                     std::string_view name, const Services& services, access::Scope scope,
                     TempoRefusals refusals, TempoHandler handler);

/// One file each of this API adds its part of add_tempo_routes.
void add_tempo_trace_routes(net::Router& router, const Services& services, TempoRefusals refusals);
void add_tempo_search_route(net::Router& router, const Services& services, TempoRefusals refusals);
void add_tempo_tag_routes(net::Router& router, const Services& services, TempoRefusals refusals);
void add_tempo_metrics_routes(net::Router& router, const Services& services,
                              TempoRefusals refusals);

/// The parameters of a request's URL. One that is present but empty counts as absent.
class TempoParameters {
 public:
  [[nodiscard]] static TempoResult<TempoParameters> read(const net::Request& request);

  /// "" when absent.
  [[nodiscard]] std::string_view text(std::string_view name) const {
    return parameters_.find(name).value_or("");
  }

  [[nodiscard]] bool has(std::string_view name) const { return !text(name).empty(); }

  /// Absent when absent. Errors: `invalid limit: …`.
  [[nodiscard]] TempoResult<std::optional<std::int64_t>> integer(std::string_view name) const;

  [[nodiscard]] const net::Parameters& all() const { return parameters_; }

 private:
  net::Parameters parameters_;
};

/// The text of a query. Errors: longer than Tempo's limit of 128 KiB.
[[nodiscard]] TempoResult<std::string_view> read_query_text(const TempoParameters& parameters,
                                                            std::string_view name);

/// `start` and `end` of everything but metrics: Unix seconds, each of them optional.
struct TempoSeconds {
  std::int64_t start_s = 0;  ///< 0: not given.
  std::int64_t end_s = 0;

  [[nodiscard]] std::int64_t start_ns() const;
  /// The last nanosecond of the second `end`, so that what was just written is found; the end of
  /// time when it is not given.
  [[nodiscard]] std::int64_t end_ns() const;
};

/// Errors: `invalid start: …`, `http parameter start must be before end. …`.
[[nodiscard]] TempoResult<TempoSeconds> read_seconds(const TempoParameters& parameters);

/// 1 to 32 hexadecimal digits; a short one is padded on the left. Errors: Tempo's texts.
[[nodiscard]] TempoResult<telemetry::TraceId> parse_trace_id(std::string_view text);

/// "1h30m", "1.5s", "-100ms" in nanoseconds, as time.ParseDuration of Go reads them; null for
/// anything else.
[[nodiscard]] std::optional<std::int64_t> parse_go_duration(std::string_view text);

/// What an answer may say of the search for it: nothing to those who see a part of the stack.
[[nodiscard]] traceql::SearchStatistics shown_statistics(
    const traceql::SearchStatistics& statistics, const access::StackView& view);

/// For Gantry's own traces: the query as it was understood, where that may be shown.
void describe_query(const Services& services, const access::StackView& view,
                    const traceql::Query& query);

/// And what became of it.
template <class Answer>
void describe_answer(const Result<Answer>& answer) {
  if (answer) {
    core::annotate_own_span("gantry.query.spans_read",
                            static_cast<std::int64_t>(answer->statistics.inspected_spans));
    core::annotate_own_span("gantry.query.bytes_read",
                            static_cast<std::int64_t>(answer->statistics.inspected_bytes));
  } else {
    core::fail_own_span("the query failed");
  }
}

enum class TempoFormat : std::uint8_t { Json, Protobuf };

/// Tempo looks for its types as parts of the text, protobuf first.
[[nodiscard]] TempoFormat accepted_format(const net::Request& request);

[[nodiscard]] net::Response tempo_response(TempoFormat format, std::string body);

/// In the format that the request accepts.
[[nodiscard]] net::Response tempo_response(const net::Request& request,
                                           const std::function<std::string(TempoFormat)>& encode);

}  // namespace gantry::api
