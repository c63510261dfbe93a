#include "api/destinations.h"

#include <array>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "access/stacks.h"
#include "broadcast/destination_json.h"
#include "broadcast/destination_rows.h"
#include "core/json_writer.h"
#include "core/log.h"

namespace gantry::api {
namespace {

using access::ControlChange;
using access::ControlError;
using access::ControlResult;
using access::OrgId;
using access::Scope;
using broadcast::ConfigChange;
using broadcast::Destination;
using broadcast::DestinationBody;
using broadcast::StoredDestination;
using broadcast::Verified;

constexpr std::size_t kPageSizeDefault = 50;
constexpr std::size_t kPageSizeMax = 100;

struct Call {
  const DestinationServices& services;
  const net::Request& request;
  const net::Parameters& query;
  const access::ControlPrincipal& who;
  OrgId org;

  [[nodiscard]] std::string id() const { return std::string(request.path_parameter("id")); }
};

/// Texts that clients of the original know; what is behind them is in `metadata`.
std::string_view fixed_message(int status) {
  switch (status) {
    case 400:
      return "Invalid request parameters";
    case 403:
      return "Only management keys can perform this operation";
    case 404:
      return "Resource not found";
    case 409:
      return "Resource conflict. Please try again later.";
    case 500:
      return "Internal Server Error";
    default:
      return "";
  }
}

/// `metadata`: a JSON object, or nothing.
net::Response error_response(int status, std::string_view message, std::string_view metadata = {}) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("error").begin_object();
  json.key("code").integer(status);
  json.key("message").string(message);
  if (!metadata.empty()) json.key("metadata").raw(metadata);
  json.end_object().end_object();
  net::Response response = net::json_response(status, std::move(body));
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Content-Type-Options", "nosniff");
  return response;
}

net::Response render_status(const net::Request& /*request*/, int status, std::string_view message) {
  const std::string_view fixed = fixed_message(status);
  return error_response(status, fixed.empty() ? message : fixed);
}

int status_of(Code code) {
  if (code == Code::FailedPrecondition) return 409;  // a limit, or the state of the keyring
  if (code == Code::ResourceExhausted) return 503;   // the disk
  return net::http_status(code);
}

net::Response failure_response(const net::Request& request, const ControlError& error) {
  const int status = status_of(error.code);
  if (status == 500) {
    log::error(
        "destination request failed",
        {{"request_id", request.request_id}, {"path", request.path}, {"error", error.message}});
    return error_response(status, fixed_message(status));
  }
  std::string metadata;
  core::JsonWriter json(metadata);
  json.begin_object();
  json.key("reason").string(error.message);
  if (!error.fields.empty()) {
    json.key("fields").begin_array();
    for (const access::FieldProblem& field : error.fields) {
      json.begin_object();
      json.key("path").string(field.path);
      json.key("reason").string(field.reason);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  const std::string_view fixed = fixed_message(status);
  return error_response(status, fixed.empty() ? std::string_view(error.message) : fixed, metadata);
}

net::Response refusal_response(const net::Request& request, const access::AccessError& refusal) {
  const bool has_none = refusal.status == 401 && !request.headers.contains("Authorization") &&
                        !request.headers.contains("Cookie");
  std::string_view message = fixed_message(refusal.status);
  if (has_none) message = "Missing Authentication header";
  net::Response response =
      error_response(refusal.status, message.empty() ? std::string_view(refusal.message) : message);
  for (const auto& [name, value] : refusal.headers.fields())
    if (name == "WWW-Authenticate" || name == "Retry-After") response.headers.add(name, value);
  return response;
}

net::Response too_many_response(std::int64_t wait_seconds, std::string_view what) {
  net::Response response = error_response(429, what);
  response.headers.set("Retry-After", std::to_string(wait_seconds));
  return response;
}

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
  return error_response(400, fixed_message(400), metadata);
}

net::Response destination_response(int status, const StoredDestination& stored) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data");
  broadcast::write_destination(json, stored.destination, stored.masks);
  json.end_object();
  return net::json_response(status, std::move(body));
}

ControlResult<std::optional<OrgId>> wanted_organisation(const net::Parameters& query) {
  const auto text = query.find("orgId");
  if (!text || text->empty()) return std::nullopt;
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), id);
  if (error != std::errc() || end != text->data() + text->size() || id < 0)
    return access::refuse_field("orgId", "must be the id of an organisation");
  return OrgId(id);
}

ControlResult<std::size_t> number_parameter(const Call& call, std::string_view name,
                                            std::size_t absent, std::size_t min, std::size_t max) {
  const auto text = call.query.find(name);
  if (!text || text->empty()) return absent;
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error == std::errc() && end == text->data() + text->size() && number >= min && number <= max)
    return number;
  return access::refuse_field(std::string(name),
                              fmt::format("must be a whole number from {} to {}", min, max));
}

ControlResult<bool> wants_test(const Call& call) {
  const auto text = call.query.find("verify");
  if (!text || *text == "true") return true;
  if (*text == "false") return false;
  return access::refuse_field("verify", "must be true or false");
}

/// The stack that is meant, all of whose data the caller has.
ControlResult<StackId> read_workspace(const Call& call, state::Transaction& tx,
                                      const std::optional<std::string>& workspace_id) {
  if (workspace_id) {
    const auto stack = access::read_stack(call.org, tx, *workspace_id);
    if (!stack && stack.error().code == Code::NotFound)
      return access::refuse_field("workspace_id", "no stack has this id or slug");
    GANTRY_CHECK(stack);
    GANTRY_CHECK(broadcast::require_whole_stack(call.who, call.org, stack->id));
    return stack->id;
  }
  GANTRY_TRY(const std::vector<access::Stack> stacks, access::list_stacks(call.org, tx));
  std::vector<StackId> own;
  for (const access::Stack& stack : stacks)
    if (broadcast::require_whole_stack(call.who, call.org, stack.id)) own.push_back(stack.id);
  if (own.size() == 1) return own.front();
  if (own.empty() && !stacks.empty())
    return access::refuse(Code::PermissionDenied, "not all data of any stack is yours");
  return access::refuse_field(
      "workspace_id", fmt::format("is required: there are {} stacks to choose from", own.size()));
}

/// One of a stack that is the caller's.
ControlResult<StoredDestination> find_own(const Call& call, state::Transaction& tx) {
  GANTRY_TRY(StoredDestination stored, broadcast::read_destination(call.org, tx, call.id()));
  GANTRY_CHECK(
      broadcast::require_whole_stack(call.who, call.org, StackId(stored.destination.stack)));
  return stored;
}

void note_test(const Call& call, const Destination& tested, const ConnectionVerdict& verdict) {
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

/// Tests unless the caller has used up its rate of tests. No transaction is open meanwhile: the other
/// side may be slow. An error is the answer.
std::expected<ConnectionVerdict, net::Response> test(const Call& call,
                                                     const Destination& destination) {
  const std::int64_t wait_seconds = call.services.test_rate.take(call.who.actor.id);
  if (wait_seconds > 0)
    return std::unexpected(too_many_response(wait_seconds, "too many connection tests"));
  ConnectionVerdict verdict = call.services.test(destination);
  note_test(call, destination, verdict);
  return verdict;
}

/// Null: it may be saved; else the answer.
std::optional<net::Response> refusal_of_test(const Call& call, const Destination& destination) {
  auto verdict = test(call, destination);
  if (!verdict) return std::move(verdict).error();
  if (!verdict->is_ok) return failed_test_response(*verdict);
  return std::nullopt;
}

ControlResult<net::Response> list(const Call& call) {
  constexpr std::size_t kOffsetMax = 1'000'000;
  GANTRY_TRY(const std::size_t offset, number_parameter(call, "offset", 0, 0, kOffsetMax));
  GANTRY_TRY(const std::size_t limit,
             number_parameter(call, "limit", kPageSizeDefault, 1, kPageSizeMax));
  std::optional<std::string> workspace_id;
  if (const auto text = call.query.find("workspace_id"); text && !text->empty())
    workspace_id = std::string(*text);
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  GANTRY_TRY(const StackId stack, read_workspace(call, tx, workspace_id));
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

ControlResult<net::Response> create(const Call& call) {
  GANTRY_TRY(const DestinationBody body, DestinationBody::parse(call.request.body));
  GANTRY_TRY(const bool is_tested, wants_test(call));
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

ControlResult<net::Response> read(const Call& call) {
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  GANTRY_TRY(const StoredDestination stored, find_own(call, tx));
  return destination_response(200, stored);
}

struct Changed {
  Destination after;
  std::int64_t version = 0;  ///< Of what it was made from.
};

ControlResult<Changed> apply(const Call& call, const DestinationBody& body) {
  GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
  GANTRY_TRY(const StoredDestination stored, find_own(call, tx));
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

ControlResult<net::Response> update(const Call& call) {
  GANTRY_TRY(const DestinationBody body, DestinationBody::parse(call.request.body));
  GANTRY_TRY(const bool wants_one, wants_test(call));
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

ControlResult<net::Response> remove(const Call& call) {
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.services.control, call.who));
  GANTRY_CHECK(broadcast::delete_destination(call.org, change, call.id()));
  GANTRY_CHECK(change.commit());
  return net::json_response(200, R"({"deleted":true})");
}

ControlResult<net::Response> test_unsaved(const Call& call) {
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
ControlResult<net::Response> test_saved(const Call& call) {
  const bool has_body = call.request.body.find_first_not_of(" \t\r\n") != std::string::npos;
  GANTRY_TRY(const DestinationBody body,
             DestinationBody::parse(has_body ? std::string_view(call.request.body) : "{}"));
  const auto opened = [&]() -> ControlResult<Destination> {
    GANTRY_TRY(state::Transaction tx, call.services.control.db.begin_read());
    GANTRY_TRY(const StoredDestination stored, find_own(call, tx));
    return broadcast::open_destination(call.org, tx, call.services.secrets, stored);
  };
  GANTRY_TRY(const Destination saved, opened());
  GANTRY_TRY(const Destination wanted, body.change(saved));
  auto verdict = test(call, wanted);
  return verdict ? verdict_response(*verdict) : std::move(verdict).error();
}

using Act = ControlResult<net::Response> (*)(const Call&);

/// Lets in, counts and calls `act`.
net::Response enter(const DestinationServices& services, Scope scope, const net::Request& request,
                    Act act) {
  const auto query = net::Parameters::parse(request.raw_query);
  if (!query) return failure_response(request, query.error());
  const auto org = wanted_organisation(*query);
  if (!org) return failure_response(request, org.error());
  const auto who = services.gate.admit_control(request, scope, *org);
  if (!who) return refusal_response(request, who.error());
  if (const std::int64_t wait_seconds = services.rate.take(who->actor.id); wait_seconds > 0)
    return too_many_response(wait_seconds,
                             "too many requests: see access.control_requests_per_minute");
  auto answer = act(
      {.services = services, .request = request, .query = *query, .who = *who, .org = who->org});
  if (!answer) return failure_response(request, answer.error());
  answer->headers.set("Cache-Control", "no-store");
  answer->headers.set("X-Content-Type-Options", "nosniff");
  return *std::move(answer);
}

}  // namespace

void add_destination_routes(net::Router& router, const DestinationServices& services) {
  constexpr std::string_view kList = "/api/v1/observability/destinations";
  constexpr std::string_view kOne = "/api/v1/observability/destinations/{id}";
  const auto add = [&](net::Method method, std::string_view pattern, Scope scope, Act act) {
    router.add(method, pattern,
               {.body_bytes_max = broadcast::kDestinationBodyBytesMax,
                .access = std::string(access::scope_name(scope)),
                .render_error = render_status},
               [&services, scope, act](net::Request& request) {
                 return enter(services, scope, request, act);
               });
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
}

}  // namespace gantry::api
