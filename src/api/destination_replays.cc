// /api/v1/observability/destinations/{id}/replay.

#include <optional>
#include <utility>
#include <vector>

#include "api/cloud_internal.h"
#include "api/destinations_internal.h"
#include "api/prometheus_support.h"
#include "core/json_writer.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

using access::ControlChange;
using access::ControlResult;
using access::FieldProblem;
using access::Scope;
using broadcast::Replay;

std::optional<TimestampMs> parse_time(const Json& value) {
  if (!value.is_string() && !value.is_number()) return std::nullopt;
  const auto ms = parse_time_ms(value.is_string() ? value.get<std::string>() : value.dump());
  if (!ms) return std::nullopt;
  return TimestampMs{*ms};
}

net::Response replay_response(int status, const Replay& replay) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data").begin_object();
  json.key("id").string(replay.id);
  json.key("state").string(broadcast::replay_state_name(replay.state));
  json.key("start").string(core::format_rfc3339(replay.range.start));
  json.key("end").string(core::format_rfc3339(replay.range.end));
  json.key("position").string(core::format_rfc3339(broadcast::reached(replay)));
  json.key("traces_read").integer(replay.traces_read);
  json.key("traces_queued").integer(replay.traces_queued);
  json.key("spans_queued").integer(replay.spans_queued);
  json.key("samples_read").integer(replay.samples_read);
  json.key("samples_queued").integer(replay.samples_queued);
  json.key("error");
  if (replay.problem.empty())
    json.null();
  else
    json.string(replay.problem);
  json.key("created_at").string(core::format_rfc3339(replay.created_at));
  json.key("updated_at").string(core::format_rfc3339(replay.updated_at));
  json.end_object().end_object();
  return net::json_response(status, std::move(body));
}

ControlResult<net::Response> start(const DestinationCall& call) {
  GANTRY_TRY(broadcast::ReplayRange range, parse_replay_body(call.request.body));
  GANTRY_TRY(range, broadcast::checked_range(range, call.services.control.clock.now()));
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.services.control, call.who));
  const std::string id = call.id();
  GANTRY_TRY(const Replay replay, broadcast::start_replay(call.org, change, call.services.replica,
                                                          {.destination = id, .range = range}));
  GANTRY_CHECK(change.commit());
  return replay_response(202, replay);
}

ControlResult<net::Response> show(const DestinationCall& call) {
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  GANTRY_CHECK(find_own_destination(call, tx));
  GANTRY_TRY(const std::optional<Replay> replay,
             broadcast::find_replay(call.org, tx, call.services.replica, call.id()));
  if (!replay) return access::refuse(Code::NotFound, "nothing has been replayed");
  return replay_response(200, *replay);
}

ControlResult<net::Response> cancel(const DestinationCall& call) {
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.services.control, call.who));
  GANTRY_TRY(const Replay replay,
             broadcast::cancel_replay(call.org, change, call.services.replica, call.id()));
  GANTRY_CHECK(change.commit());
  return replay_response(200, replay);
}

}  // namespace

ControlResult<broadcast::ReplayRange> parse_replay_body(std::string_view body) {
  GANTRY_TRY(const Json parsed, parse_cloud_body(body));
  std::vector<FieldProblem> problems;
  for (const auto& [name, value] : parsed.items())
    if (name != "start" && name != "end") problems.push_back({name, "is not known"});
  const auto read = [&](const char* name) -> TimestampMs {
    const auto value = parsed.find(name);
    if (value == parsed.end()) {
      problems.push_back({name, "is required"});
      return {};
    }
    const auto time = parse_time(*value);
    if (!time) problems.push_back({name, "must be Unix seconds or a time as RFC 3339 has it"});
    return time.value_or(TimestampMs{});
  };
  const TimestampMs first = read("start");
  const TimestampMs end = read("end");
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return broadcast::ReplayRange{.start = first, .end = end};
}

void add_destination_replay_routes(net::Router& router, const DestinationServices& services) {
  constexpr std::string_view kReplay = "/api/v1/observability/destinations/{id}/replay";
  add_destination_route(router, services, net::Method::Post, kReplay, Scope::DestinationsWrite,
                        start);
  add_destination_route(router, services, net::Method::Get, kReplay, Scope::DestinationsRead, show);
  add_destination_route(router, services, net::Method::Delete, kReplay, Scope::DestinationsWrite,
                        cancel);
}

}  // namespace gantry::api
