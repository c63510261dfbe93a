#include "api/destinations.h"

#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "access/stacks.h"
#include "api/destinations_internal.h"
#include "broadcast/destination_json.h"
#include "broadcast/destination_rows.h"
#include "core/json_writer.h"

namespace gantry::api {
namespace {

using access::ControlChange;
using access::ControlResult;
using access::Scope;
using broadcast::ConfigChange;
using broadcast::Destination;
using broadcast::DestinationBody;
using broadcast::StoredDestination;
using broadcast::Verified;

constexpr std::size_t kPageSizeDefault = 50;
constexpr std::size_t kPageSizeMax = 100;

void write_verdict(core::JsonWriter& json, const ConnectionVerdict& verdict) {
  json.begin_object();
  json.key("ok").boolean(verdict.is_ok);
  json.key("status");
  if (verdict.status)
    json.integer(*verdict.status);
  else
    json.null();
  json.key("latency_ms").integer(verdict.latency_ms);
  json.key("error");
  if (verdict.is_ok) {
    json.null();
  } else {
    json.begin_object();
    json.key("code").string(verdict.error_code);
    json.key("message").string(verdict.message);
    json.end_object();
  }
  json.end_object();
}

net::Response verdict_response(const ConnectionVerdict& verdict) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data");
  write_verdict(json, verdict);
  json.end_object();
  return net::json_response(200, std::move(body));
}

net::Response failed_test_response(const ConnectionVerdict& verdict) {
  std::string metadata;
  core::JsonWriter json(metadata);
  json.begin_object();
  json.key("error_type").string("connection_test_failed");
  json.key("test");
  write_verdict(json, verdict);
  json.end_object();
  return management_error(400, fixed_management_message(400), metadata);
}

net::Response destination_response(int status, const StoredDestination& stored) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data");
  broadcast::write_destination(json, stored.destination, stored.masks);
  json.end_object();
  return net::json_response(status, std::move(body));
}

void note_test(const DestinationCall& call, const Destination& tested,
               const ConnectionVerdict& verdict) {
  call.services.control.audit.note(
      {.event = "destination.tested",
       .outcome = verdict.is_ok ? access::Outcome::Ok : access::Outcome::Error,
       .actor = call.who.actor,
       .org = call.org,
       .stack = StackId(tested.stack),
       .target = {.type = "destination", .id = tested.id, .name = tested.name},
       .client = call.who.client,
       .session_hash = call.who.session_hash,
       .changes = {},
       .reason = verdict.error_code});
}

/// Tests unless the caller has used up its rate of tests. No transaction is open meanwhile: the
/// other side may be slow. An error is the answer.
std::expected<ConnectionVerdict, net::Response> test(const DestinationCall& call,
                                                     const Destination& destination) {
  const std::int64_t wait_seconds = call.services.test_rate.take(call.who.actor.id);
  if (wait_seconds > 0)
    return std::unexpected(too_many_management_requests(wait_seconds, "too many connection tests"));
  ConnectionVerdict verdict = call.services.test(destination);
  note_test(call, destination, verdict);
  return verdict;
}

/// Null: it may be saved; else the answer.
std::optional<net::Response> refusal_of_test(const DestinationCall& call,
                                             const Destination& destination) {
  auto verdict = test(call, destination);
  if (!verdict) return std::move(verdict).error();
  if (!verdict->is_ok) return failed_test_response(*verdict);
  return std::nullopt;
}

ControlResult<net::Response> list(const DestinationCall& call) {
  constexpr std::size_t kOffsetMax = 1'000'000;
  GANTRY_TRY(const std::size_t offset, number_parameter(call, "offset", 0, 0, kOffsetMax));
  GANTRY_TRY(const std::size_t limit,
             number_parameter(call, "limit", kPageSizeDefault, 1, kPageSizeMax));
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  GANTRY_TRY(const StackId stack, read_workspace(call, tx, workspace_parameter(call)));
  GANTRY_TRY(const std::size_t count, broadcast::count_destinations(call.org, tx, stack));
  GANTRY_TRY(const std::vector<StoredDestination> page,
             broadcast::list_destinations(call.org, tx, stack, offset, limit));
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data").begin_array();
  for (const StoredDestination& stored : page)
    broadcast::write_destination(json, stored.destination, stored.masks);
  json.end_array();
  json.key("total_count").integer(count);
  json.end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> create(const DestinationCall& call) {
  GANTRY_TRY(const DestinationBody body, DestinationBody::parse(call.request.body));
  GANTRY_TRY(const bool is_tested, bool_parameter(call, "verify", true));
  GANTRY_TRY(Destination draft, body.create());
  {
    GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
    GANTRY_TRY(const StackId stack, read_workspace(call, tx, body.workspace_id()));
    draft.stack = stack.value();
  }
  if (is_tested)
    if (auto refusal = refusal_of_test(call, draft)) return *std::move(refusal);
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.services.control, call.who));
  GANTRY_TRY(const StoredDestination made,
             broadcast::create_destination(call.org, change, call.services.secrets, draft,
                                           is_tested ? Verified::Yes : Verified::No));
  GANTRY_CHECK(change.commit());
  return destination_response(201, made);
}

ControlResult<net::Response> read(const DestinationCall& call) {
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  GANTRY_TRY(const StoredDestination stored, find_own_destination(call, tx));
  return destination_response(200, stored);
}

struct Changed {
  Destination after;
  std::int64_t version = 0;  ///< Of what it was made from.
};

ControlResult<Changed> apply(const DestinationCall& call, const DestinationBody& body) {
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  GANTRY_TRY(const StoredDestination stored, find_own_destination(call, tx));
  if (const auto workspace_id = body.workspace_id()) {
    GANTRY_TRY(const StackId stack, read_workspace(call, tx, workspace_id));
    if (stack.value() != stored.destination.stack)
      return access::refuse_field("workspace_id", "of a destination never changes");
  }
  Destination before = stored.destination;
  if (body.changes_connection()) {
    GANTRY_TRY(before, broadcast::open_destination(call.org, tx, call.services.secrets, stored));
  }
  GANTRY_TRY(Destination after, body.change(before));
  return Changed{.after = std::move(after), .version = stored.version};
}

ControlResult<net::Response> update(const DestinationCall& call) {
  GANTRY_TRY(const DestinationBody body, DestinationBody::parse(call.request.body));
  GANTRY_TRY(const bool wants_one, bool_parameter(call, "verify", true));
  GANTRY_TRY(const Changed changed, apply(call, body));
  const bool is_replaced = body.changes_connection();
  if (wants_one && is_replaced)
    if (auto refusal = refusal_of_test(call, changed.after)) return *std::move(refusal);
  const broadcast::DestinationUpdate update{
      .after = changed.after,
      .config = is_replaced ? ConfigChange::Replaced : ConfigChange::Kept,
      .version = changed.version,
      .verified = wants_one ? Verified::Yes : Verified::No};
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.services.control, call.who));
  GANTRY_TRY(const StoredDestination stored,
             broadcast::update_destination(call.org, change, call.services.secrets, update));
  GANTRY_CHECK(change.commit());
  return destination_response(200, stored);
}

ControlResult<net::Response> remove(const DestinationCall& call) {
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.services.control, call.who));
  GANTRY_CHECK(broadcast::delete_destination(call.org, change, call.id()));
  GANTRY_CHECK(change.commit());
  return net::json_response(200, R"({"deleted":true})");
}

ControlResult<net::Response> test_unsaved(const DestinationCall& call) {
  GANTRY_TRY(const DestinationBody body, DestinationBody::parse(call.request.body));
  GANTRY_TRY(Destination unsaved, body.connection());
  {
    GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
    GANTRY_TRY(const StackId stack, read_workspace(call, tx, body.workspace_id()));
    unsaved.stack = stack.value();
  }
  auto verdict = test(call, unsaved);
  return verdict ? verdict_response(*verdict) : std::move(verdict).error();
}

/// As it is saved, or with the changes of the body.
ControlResult<net::Response> test_saved(const DestinationCall& call) {
  const bool has_body = call.request.body.find_first_not_of(" \t\r\n") != std::string::npos;
  GANTRY_TRY(const DestinationBody body,
             DestinationBody::parse(has_body ? std::string_view(call.request.body) : "{}"));
  const auto opened = [&]() -> ControlResult<Destination> {
    GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
    GANTRY_TRY(const StoredDestination stored, find_own_destination(call, tx));
    return broadcast::open_destination(call.org, tx, call.services.secrets, stored);
  };
  GANTRY_TRY(const Destination saved, opened());
  GANTRY_TRY(const Destination wanted, body.change(saved));
  auto verdict = test(call, wanted);
  return verdict ? verdict_response(*verdict) : std::move(verdict).error();
}

}  // namespace

void add_destination_routes(net::Router& router, const DestinationServices& services) {
  constexpr std::string_view kList = "/api/v1/observability/destinations";
  constexpr std::string_view kOne = "/api/v1/observability/destinations/{id}";
  const auto add = [&](net::Method method, std::string_view pattern, Scope scope,
                       DestinationAct act) {
    add_destination_route(router, services, method, pattern, scope, act);
  };
  add(net::Method::Get, kList, Scope::DestinationsRead, list);
  add(net::Method::Post, kList, Scope::DestinationsWrite, create);
  add(net::Method::Post, "/api/v1/observability/destinations/test", Scope::DestinationsWrite,
      test_unsaved);
  add(net::Method::Get, kOne, Scope::DestinationsRead, read);
  add(net::Method::Patch, kOne, Scope::DestinationsWrite, update);
  add(net::Method::Delete, kOne, Scope::DestinationsWrite, remove);
  add(net::Method::Post, "/api/v1/observability/destinations/{id}/test", Scope::DestinationsWrite,
      test_saved);
  add_destination_delivery_routes(router, services);
  add_destination_replay_routes(router, services);
}

}  // namespace gantry::api
