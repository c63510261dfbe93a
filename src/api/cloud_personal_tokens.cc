// /api/user/tokens: what a signed-in person makes for themselves.

#include <utility>

#include "access/personal_tokens.h"
#include "api/cloud_internal.h"

namespace gantry::api {
namespace {

using access::Token;

ControlResult<net::Response> list(const CloudCall& call, state::Transaction& tx) {
  const TimestampMs now = call.services.control.clock.now();
  GANTRY_TRY(const std::vector<Token> tokens,
             access::list_personal_tokens(call.org, tx, call.who, now));
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (const Token& token : tokens) write_token(json, token, now);
  json.end_array().end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> create(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  access::PersonalTokenDraft draft;
  draft.name = reader.required_text("name");
  draft.display_name = reader.text("displayName").value_or("");
  draft.expires_at = reader.time("expiresAt");
  draft.scopes = reader.texts("scopes").value_or(std::vector<std::string>());
  draft.stack = reader.text("stack").value_or("");
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const access::IssuedToken issued,
             access::create_personal_token(call.org, change, draft));
  return token_response(call, issued.token, issued.secret);
}

ControlResult<net::Response> revoke(const CloudCall& call, ControlChange& change, const Json&) {
  GANTRY_CHECK(access::revoke_personal_token(call.org, change, call.request.path_parameter("id")));
  return net::Response{.status = 204};
}

}  // namespace

void add_cloud_personal_token_routes(net::Router& router, const CloudServices& services) {
  constexpr std::string_view kList = "/api/user/tokens";
  add_reader(router, services, net::Method::Get, kList, {}, list);
  add_changer(router, services, net::Method::Post, kList, {}, create);
  add_changer(router, services, net::Method::Delete, "/api/user/tokens/{id}", {}, revoke);
}

}  // namespace gantry::api
