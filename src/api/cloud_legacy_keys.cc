// /api/orgs/{org}/api-keys: the API keys of the time before access policies.

#include <utility>

#include "access/ceiling.h"
#include "access/legacy_keys.h"
#include "access/organisations.h"
#include "api/cloud_internal.h"

namespace gantry::api {
namespace {

using access::LegacyKey;
using access::Scope;

void write_key(core::JsonWriter& json, const LegacyKey& key, const std::string& secret = {}) {
  json.begin_object();
  json.key("id").string(key.token.id);
  json.key("orgId").integer(key.token.org.value());
  json.key("name").string(key.token.name);
  json.key("role").string(key.role);
  if (!secret.empty()) json.key("token").string(secret);
  write_time(json, "createdAt", key.token.created_at);
  write_optional_time(json, "firstUsed", key.token.first_used_at);
  write_optional_time(json, "lastUsed", key.token.last_used_at);
  json.end_object();
}

net::Response key_response(const LegacyKey& key, const std::string& secret = {}) {
  std::string body;
  core::JsonWriter json(body);
  write_key(json, key, secret);
  return net::json_response(200, std::move(body));
}

ControlResult<void> check_organisation(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const auto found,
             access::look_up_organisation(tx, call.request.path_parameter("org")));
  if (!found || found->id != call.org)
    return access::refuse(Code::NotFound, "no such organisation");
  return {};
}

ControlResult<net::Response> list(const CloudCall& call, state::Transaction& tx) {
  GANTRY_CHECK(check_organisation(call, tx));
  GANTRY_TRY(const std::vector<LegacyKey> keys,
             access::list_legacy_keys(call.org, tx, call.services.control.clock.now()));
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (const LegacyKey& key : keys) write_key(json, key);
  json.end_array().end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> create(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  GANTRY_CHECK(check_organisation(call, change.tx()));
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  const std::string name = reader.required_text("name");
  const std::string role = reader.required_text("role");
  const auto sha256 = reader.text("sha256");
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  if (sha256) {
    GANTRY_TRY(const LegacyKey key,
               access::import_legacy_key(call.org, change,
                                         {.name = name, .role = role, .sha256 = *sha256}));
    return key_response(key);
  }
  GANTRY_TRY(const access::IssuedLegacyKey issued,
             access::create_legacy_key(call.org, change, name, role));
  return key_response(issued.key, issued.secret);
}

ControlResult<net::Response> remove(const CloudCall& call, ControlChange& change, const Json&) {
  GANTRY_CHECK(check_organisation(call, change.tx()));
  GANTRY_CHECK(access::delete_legacy_key(call.org, change, call.request.path_parameter("name")));
  return net::Response{.status = 204};
}

}  // namespace

void add_cloud_legacy_key_routes(net::Router& router, const CloudServices& services) {
  constexpr std::string_view kList = "/api/orgs/{org}/api-keys";
  add_reader(router, services, net::Method::Get, kList, {.scope = Scope::AccessPoliciesRead}, list);
  add_changer(router, services, net::Method::Post, kList, {.scope = Scope::AccessPoliciesWrite},
              create);
  add_changer(router, services, net::Method::Delete, "/api/orgs/{org}/api-keys/{name}",
              {.scope = Scope::AccessPoliciesDelete}, remove);
}

}  // namespace gantry::api
