#include <charconv>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "access/ceiling.h"
#include "access/stacks.h"
#include "api/management_internal.h"
#include "api/wanted_organisation.h"
#include "core/json_writer.h"
#include "core/log.h"

namespace gantry::api {
namespace {

using access::ControlError;
using access::ControlResult;

net::Response render_status(const net::Request& /*request*/, int status, std::string_view message) {
  const std::string_view fixed = fixed_management_message(status);
  return management_error(status, fixed.empty() ? message : fixed);
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
        "management request failed",
        {{"request_id", request.request_id}, {"path", request.path}, {"error", error.message}});
    return management_error(status, fixed_management_message(status));
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
  const std::string_view fixed = fixed_management_message(status);
  return management_error(status, fixed.empty() ? std::string_view(error.message) : fixed,
                          metadata);
}

net::Response refusal_response(const net::Request& request, const access::AccessError& refusal) {
  const bool has_none = refusal.status == 401 && !request.headers.contains("Authorization") &&
                        !request.headers.contains("Cookie");
  std::string_view message = fixed_management_message(refusal.status);
  if (has_none) message = "Missing Authentication header";
  net::Response response = management_error(
      refusal.status, message.empty() ? std::string_view(refusal.message) : message);
  for (const auto& [name, value] : refusal.headers.fields())
    if (name == "WWW-Authenticate" || name == "Retry-After") response.headers.add(name, value);
  return response;
}

/// Lets in, counts and calls `act`.
net::Response enter(const ManagementSurface& surface, access::Scope scope,
                    const net::Request& request, const ManagementAct& act) {
  const auto query = net::Parameters::parse(request.raw_query);
  if (!query) return failure_response(request, ControlError(query.error()));
  const auto org = wanted_organisation(*query);
  if (!org) return failure_response(request, org.error());
  const auto who = surface.gate.admit_control(request, scope, *org);
  if (!who) return refusal_response(request, who.error());
  if (const std::int64_t wait_seconds = surface.rate.take(who->actor.id); wait_seconds > 0)
    return too_many_management_requests(
        wait_seconds, "too many requests: see access.control_requests_per_minute");
  auto answer = act({.control = surface.control,
                     .request = request,
                     .query = *query,
                     .who = *who,
                     .org = who->org});
  if (!answer) return failure_response(request, answer.error());
  answer->headers.set("Cache-Control", "no-store");
  answer->headers.set("X-Content-Type-Options", "nosniff");
  return *std::move(answer);
}

}  // namespace

std::string_view fixed_management_message(int status) {
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

net::Response management_error(int status, std::string_view message, std::string_view metadata) {
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

net::Response too_many_management_requests(std::int64_t wait_seconds, std::string_view what) {
  net::Response response = management_error(429, what);
  response.headers.set("Retry-After", std::to_string(wait_seconds));
  return response;
}

ControlResult<std::size_t> number_parameter(const ManagementCall& call, std::string_view name,
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

ControlResult<bool> bool_parameter(const ManagementCall& call, std::string_view name, bool absent) {
  const auto text = call.query.find(name);
  if (!text || text->empty()) return absent;
  if (*text == "true") return true;
  if (*text == "false") return false;
  return access::refuse_field(std::string(name), "must be true or false");
}

std::optional<std::string> workspace_parameter(const ManagementCall& call) {
  const auto text = call.query.find("workspace_id");
  if (!text || text->empty()) return std::nullopt;
  return std::string(*text);
}

ControlResult<StackId> read_workspace(const ManagementCall& call, state::Transaction& tx,
                                      const std::optional<std::string>& workspace_id) {
  if (workspace_id) {
    const auto stack = access::read_stack(call.org, tx, *workspace_id);
    if (!stack && stack.error().code == Code::NotFound)
      return access::refuse_field("workspace_id", "no stack has this id or slug");
    GANTRY_CHECK(stack);
    GANTRY_CHECK(access::require_whole_stack(call.who, call.org, stack->id));
    return stack->id;
  }
  GANTRY_TRY(const std::vector<access::Stack> stacks, access::list_stacks(call.org, tx));
  std::vector<StackId> own;
  for (const access::Stack& stack : stacks)
    if (access::require_whole_stack(call.who, call.org, stack.id)) own.push_back(stack.id);
  if (own.size() == 1) return own.front();
  if (own.empty() && !stacks.empty())
    return access::refuse(Code::PermissionDenied, "not all data of any stack is yours");
  return access::refuse_field(
      "workspace_id", fmt::format("is required: there are {} stacks to choose from", own.size()));
}

void add_management_route(net::Router& router, const ManagementSurface& surface,
                          const ManagementRule& rule, ManagementAct act) {
  router.add(rule.method, rule.pattern,
             {.body_bytes_max = rule.body_bytes_max,
              .access = std::string(access::scope_name(rule.scope)),
              .render_error = render_status},
             [surface, scope = rule.scope, act = std::move(act)](net::Request& request) {
               return enter(surface, scope, request, act);
             });
}

}  // namespace gantry::api
