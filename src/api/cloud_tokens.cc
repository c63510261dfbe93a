// /api/v1/tokens

#include <utility>

#include <fmt/core.h>

#include "access/ceiling.h"
#include "access/tokens.h"
#include "api/cloud_internal.h"
#include "core/duration.h"

namespace gantry::api {
namespace {

using access::Scope;
using access::Token;

void write_if(core::JsonWriter& json, std::string_view key, const std::string& text) {
  if (!text.empty()) json.key(key).string(text);
}

}  // namespace

void write_token(core::JsonWriter& json, const Token& token, TimestampMs now,
                 const std::string& secret) {
  json.begin_object();
  json.key("id").string(token.id);
  json.key("accessPolicyId").string(token.policy_id);
  json.key("orgId").string(std::to_string(token.org.value()));
  json.key("name").string(token.name);
  json.key("displayName").string(token.display_name);
  write_if(json, "token", secret);
  write_optional_time(json, "expiresAt", token.expires_at);
  write_optional_time(json, "firstUsedAt", token.first_used_at);
  write_optional_time(json, "lastUsedAt", token.last_used_at);
  write_time(json, "createdAt", token.created_at);
  write_time(json, "updatedAt", token.updated_at);
  json.key("kind").string(access::token_kind_name(token.kind));
  json.key("hint").string(token.hint);
  json.key("status").string(access::token_status(token, now));
  write_if(json, "createdBy", token.created_by);
  write_optional_time(json, "revokedAt", token.revoked_at);
  write_if(json, "revokedBy", token.revoked_by);
  write_if(json, "lastUsedFrom", token.last_used_from);
  write_if(json, "lastUserAgent", token.last_user_agent);
  write_optional_time(json, "lastRejectedAt", token.last_rejected_at);
  write_if(json, "lastRejectedFrom", token.last_rejected_from);
  write_if(json, "lastRejectReason", token.last_reject_reason);
  json.end_object();
}

net::Response token_response(const CloudCall& call, const Token& token, const std::string& secret) {
  std::string body;
  core::JsonWriter json(body);
  write_token(json, token, call.services.control.clock.now(), secret);
  return net::json_response(200, std::move(body));
}

namespace {

ControlResult<net::Response> create_bearer(const CloudCall& call, ControlChange& change,
                                           BodyReader& reader,
                                           std::vector<access::FieldProblem>& problems) {
  access::BearerDraft draft;
  draft.stack = reader.required_text("stack");
  draft.name = reader.required_text("name");
  draft.display_name = reader.text("displayName").value_or("");
  draft.expires_at = reader.time("expiresAt");
  draft.reads_traces = reader.boolean("traces").value_or(false);
  draft.label_policies = reader.texts("labelPolicies").value_or(std::vector<std::string>());
  draft.allowed_subnets = reader.texts("allowedSubnets").value_or(std::vector<std::string>());
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const access::IssuedToken issued,
             access::create_bearer_token(call.org, change, draft));
  return token_response(call, issued.token, issued.secret);
}

ControlResult<net::Response> create(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  const std::string kind = reader.text("kind").value_or("glc");
  if (kind == "cqm") return create_bearer(call, change, reader, problems);
  if (kind != "glc") reader.complain("kind", "must be \"glc\" or \"cqm\"");
  access::TokenDraft draft;
  draft.policy_id = reader.required_text("accessPolicyId");
  draft.name = reader.required_text("name");
  draft.display_name = reader.text("displayName").value_or("");
  draft.expires_at = reader.time("expiresAt");
  draft.zone = call.parameter("region");
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const access::IssuedToken issued, access::create_token(call.org, change, draft));
  return token_response(call, issued.token, issued.secret);
}

ControlResult<net::Response> update(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  access::TokenChanges changes;
  changes.display_name = reader.text("displayName");
  if (reader.has("expiresAt")) changes.expires_at = reader.time("expiresAt");
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const Token token,
             access::update_token(call.org, change, call.request.path_parameter("id"), changes));
  return token_response(call, token);
}

ControlResult<net::Response> rotate(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  access::TokenRotation rotation;
  rotation.expires_at = reader.time("expiresAt");
  rotation.zone = call.parameter("region");
  if (const auto overlap = reader.text("overlap")) {
    const auto duration = core::parse_duration(*overlap);
    if (duration)
      rotation.overlap = *duration;
    else
      reader.complain("overlap", duration.error().message);
  }
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const access::IssuedToken issued,
             access::rotate_token(call.org, change, call.request.path_parameter("id"), rotation));
  return token_response(call, issued.token, issued.secret);
}

ControlResult<access::Revoked> revoked_parameter(const CloudCall& call) {
  GANTRY_TRY(const bool is_shown, switch_parameter(call, "includeRevoked"));
  return is_shown ? access::Revoked::Shown : access::Revoked::Hidden;
}

std::vector<std::string> policy_ids(const CloudCall& call) {
  std::vector<std::string> ids;
  std::string list = call.parameter("accessPolicyIds");
  if (const std::string one = call.parameter("accessPolicyId"); !one.empty())
    list += (list.empty() ? "" : ",") + one;
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) ids.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return ids;
}

ControlResult<access::TokenFilter> read_filter(const CloudCall& call) {
  access::TokenFilter filter{
      .policy_ids = policy_ids(call),
      .policy_name = call.parameter("accessPolicyName"),
      .policy_realm_type = call.parameter("accessPolicyRealmType"),
      .policy_realm_identifier = call.parameter("accessPolicyRealmIdentifier"),
      .policy_status = call.parameter("accessPolicyStatus"),
      .name = call.parameter("name"),
      .expires_before = {},
      .expires_after = {},
      .includes_expired = false,
      .revoked = access::Revoked::Hidden};
  GANTRY_TRY(filter.expires_before, time_parameter(call, "expiresBefore"));
  GANTRY_TRY(filter.expires_after, time_parameter(call, "expiresAfter"));
  GANTRY_TRY(filter.includes_expired, switch_parameter(call, "includeExpired"));
  GANTRY_TRY(filter.revoked, revoked_parameter(call));
  return filter;
}

ControlResult<net::Response> list(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const CloudPage page, read_page(call));
  GANTRY_TRY(const access::TokenFilter filter, read_filter(call));
  const TimestampMs now = call.services.control.clock.now();
  GANTRY_TRY(std::vector<Token> tokens, access::list_tokens(call.org, tx, filter, page.start, now));
  std::optional<access::PageCursor> last;
  if (tokens.size() > page.size) {
    tokens.resize(page.size);
    last = {.created_at = tokens.back().created_at,
            .id = tokens.back().id,
            .filter_hash = page.filter_hash};
  }
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (const Token& token : tokens) write_token(json, token, now);
  json.end_array();
  write_pagination(json, call, page, last);
  json.end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> read(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const access::Revoked revoked, revoked_parameter(call));
  GANTRY_TRY(const Token token, access::read_token(call.org, tx, call.request.path_parameter("id"),
                                                   call.services.control.clock.now(), revoked));
  return token_response(call, token);
}

ControlResult<net::Response> revoke(const CloudCall& call, ControlChange& change, const Json&) {
  GANTRY_CHECK(access::revoke_token(call.org, change, call.request.path_parameter("id")));
  return net::Response{.status = 204};
}

/// Who am I. Of label policies only that there are any.
ControlResult<net::Response> read_self(const CloudCall& call, state::Transaction& tx) {
  if (call.who.actor.type != access::Actor::Type::Token)
    return access::refuse(Code::PermissionDenied, "only for tokens");
  GANTRY_TRY(const Token token, access::read_token(call.org, tx, call.who.actor.id,
                                                   call.services.control.clock.now()));
  GANTRY_TRY(const access::Policy policy, access::read_policy(call.org, tx, token.policy_id));
  std::string body;
  core::JsonWriter json(body);
  json.begin_object();
  json.key("id").string(token.id);
  json.key("name").string(token.name);
  json.key("kind").string(access::token_kind_name(token.kind));
  json.key("orgId").string(std::to_string(token.org.value()));
  json.key("accessPolicyId").string(policy.id);
  json.key("accessPolicyName").string(policy.name);
  json.key("scopes").begin_array();
  for (const std::string& scope : policy.scopes) json.string(scope);
  json.end_array();
  bool is_restricted = false;
  json.key("realms").begin_array();
  for (const access::Realm& realm : policy.realms) {
    is_restricted = is_restricted || realm.label_policies.has_value();
    json.begin_object();
    json.key("type").string(access::realm_type_name(realm.type));
    json.key("identifier").string(std::to_string(realm.identifier));
    json.end_object();
  }
  json.end_array();
  json.key("labelRestricted").boolean(is_restricted);
  write_optional_time(json, "expiresAt", token.expires_at);
  json.end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> revoke_self(const CloudCall& call, ControlChange& change,
                                         const Json&) {
  GANTRY_TRY(const Token token, access::revoke_own_token(change));
  return token_response(call, token);
}

}  // namespace

void add_cloud_token_routes(net::Router& router, const CloudServices& services) {
  constexpr std::string_view kList = "/api/v1/tokens";
  constexpr std::string_view kOne = "/api/v1/tokens/{id}";
  const CloudRule reads{.scope = Scope::AccessPoliciesRead, .needs_region = true};
  const CloudRule writes{.scope = Scope::AccessPoliciesWrite, .needs_region = true};
  const CloudRule deletes{.scope = Scope::AccessPoliciesDelete, .needs_region = true};
  const CloudRule anybody{.is_organisation_wide = false};
  add_reader(router, services, net::Method::Get, kList, reads, list);
  add_changer(router, services, net::Method::Post, kList, writes, create);
  add_reader(router, services, net::Method::Get, kOne, reads, read);
  add_changer(router, services, net::Method::Post, kOne, writes, update);
  add_changer(router, services, net::Method::Delete, kOne, deletes, revoke);
  add_changer(router, services, net::Method::Post, "/api/v1/tokens/{id}/rotate", writes, rotate);
  add_reader(router, services, net::Method::Get, "/api/v1/tokens/self", anybody, read_self);
  add_changer(router, services, net::Method::Post, "/api/v1/tokens/self/revoke", anybody,
              revoke_self);
}

}  // namespace gantry::api
