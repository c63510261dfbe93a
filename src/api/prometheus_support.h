#pragma once

// What all endpoints of the Prometheus API share: parameters from URL and form, times and
// durations, the answer's envelope. Source of the shapes and texts: Prometheus web/api/v1/api.go
// and docs/querying/api.md (3.14).

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/gate.h"
#include "api/services.h"
#include "core/error.h"
#include "core/json_writer.h"
#include "net/http.h"
#include "net/router.h"
#include "promql/engine.h"

namespace gantry::api {

/// An error of this API: `errorType` and its status.
struct ApiError {
  int status = 400;
  std::string_view type = "bad_data";
  std::string message;
};

template <class T>
using ApiResult = std::expected<T, ApiError>;

/// A handler that has been let in.
using StackHandler =
    std::function<ApiResult<net::Response>(net::Request&, const access::StackView&)>;

/// Admits for `scope`, and answers refusals and errors in the Prometheus API's form.
[[nodiscard]] net::Handler admit_prometheus(const Services& services, access::Scope scope,
                                            StackHandler handler);

/// What a token did, or was not let do, on its stack: the event's actor, place and client.
[[nodiscard]] access::AuditEvent stack_event(std::string name, const access::Principal& principal,
                                             const net::Request& request);

/// Of an answer to who asks, before compression; 0: no limit.
[[nodiscard]] std::uint64_t response_bytes_max(const Services& services,
                                               const access::StackView& view);

/// Who may not come in, in this API's form, with the headers that belong to it.
[[nodiscard]] net::Response refusal_response(const access::AccessError& error);

/// Adds the route with its scope declared and checked.
void add_prometheus_route(net::Router& router, net::Method method, std::string_view path,
                          net::RouteOptions options, const Services& services, access::Scope scope,
                          StackHandler handler);

/// The settings as they hold for who asks: the token's policy may have its own query limits.
[[nodiscard]] Settings settings_for(const Services& services, const access::StackView& view);

/// 403: what the endpoint shows is not confined to what a label policy shows.
[[nodiscard]] std::unexpected<ApiError> not_for_restricted();

[[nodiscard]] std::unexpected<ApiError> bad_data(std::string message);

/// invalid parameter "name": reason
[[nodiscard]] std::unexpected<ApiError> bad_parameter(std::string_view name,
                                                      std::string_view reason);

/// The engine's and the store's errors in this API's terms.
[[nodiscard]] ApiError api_error(const Error& error);

[[nodiscard]] net::Response error_response(const ApiError& error);

/// {"status":"success","data":<data>,"warnings":…,"infos":…}. `data` is JSON.
[[nodiscard]] net::Response success_response(std::string_view data,
                                             const promql::Annotations& annotations = {});

/// The end of an envelope after its data: warnings and infos (ten each, then how many more) and the
/// closing brace.
void append_annotations(std::string& out, const promql::Annotations& annotations);

/// URL query and, for POST and PUT, form body; body values first. Errors are those of endpoints
/// that insist on a well-formed body; also when a parameter that has one value comes with several:
/// whoever checks the request on its way may have seen another one than we would take.
[[nodiscard]] ApiResult<net::Parameters> read_parameters(const net::Request& request);

/// Decimal seconds (rounded to milliseconds) or RFC 3339; also Prometheus's texts for the earliest
/// and latest time. Null for anything else.
[[nodiscard]] std::optional<std::int64_t> parse_time_ms(std::string_view text);

/// Decimal seconds or a Prometheus duration. Errors: bad_data with the text that goes after
/// `invalid parameter "x": `.
[[nodiscard]] ApiResult<DurationMs> parse_duration_ms(std::string_view text);

inline constexpr std::int64_t kEarliestMs = -9'223'372'036'854'775;
inline constexpr std::int64_t kLatestMs = 9'223'372'036'854'775;

struct TimeRange {
  std::int64_t start_ms = kEarliestMs;
  std::int64_t end_ms = kLatestMs;
};

/// `start` and `end` of the look-up endpoints; all time by default.
[[nodiscard]] ApiResult<TimeRange> read_time_range(const net::Parameters& parameters);

/// `limit`: 0 when absent, which means none.
[[nodiscard]] ApiResult<std::size_t> read_limit(const net::Parameters& parameters);

using Selectors = std::vector<std::vector<promql::Matcher>>;

/// `match[]`, each with a matcher that does not match the empty string. `prefix_errors`: whether
/// that error carries `invalid parameter "match[]": `.
[[nodiscard]] ApiResult<Selectors> read_selectors(const net::Parameters& parameters,
                                                  bool prefix_errors);

/// Fires at the request's own cancellation and after `timeout`.
[[nodiscard]] CancelToken with_timeout(const CancelToken& request, DurationMs timeout);

/// {"__name__":"up","job":"x"}
void append_label_object(std::string& out, const promql::LabelPairs& labels);

}  // namespace gantry::api
