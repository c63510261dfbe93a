// /api/orgs

#include <utility>

#include "access/organisations.h"
#include "api/cloud_internal.h"

namespace gantry::api {
namespace {

using access::Organisation;
using access::Scope;

void write_organisation(core::JsonWriter& json, const Organisation& organisation) {
  json.begin_object();
  json.key("id").integer(organisation.id.value());
  json.key("slug").string(organisation.slug);
  json.key("name").string(organisation.name);
  write_time(json, "createdAt", organisation.created_at);
  write_time(json, "updatedAt", organisation.updated_at);
  json.end_object();
}

net::Response organisation_response(const Organisation& organisation) {
  std::string body;
  core::JsonWriter json(body);
  write_organisation(json, organisation);
  return net::json_response(200, std::move(body));
}

/// The organisation of the path: the asker's own, or any for a super-admin.
ControlResult<Organisation> reach_organisation(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const auto found,
             access::look_up_organisation(tx, call.request.path_parameter("org")));
  if (!found || (found->id != call.org && !call.who.is_super_admin))
    return access::refuse(Code::NotFound, "no such organisation");
  return *found;
}

ControlResult<net::Response> read(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const Organisation organisation, reach_organisation(call, tx));
  return organisation_response(organisation);
}

ControlResult<net::Response> list(const CloudCall& call, state::Transaction& tx) {
  std::vector<Organisation> organisations;
  if (call.who.is_super_admin) {
    GANTRY_TRY(organisations, access::list_organisations(tx));
  } else {
    GANTRY_TRY(Organisation own, access::read_organisation(call.org, tx));
    organisations.push_back(std::move(own));
  }
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (const Organisation& organisation : organisations) write_organisation(json, organisation);
  json.end_array();
  json.key("orderBy").string("id");
  json.key("direction").string("asc");
  json.key("total").integer(organisations.size());
  json.end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> create(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  if (!call.who.is_super_admin)
    return access::refuse(Code::PermissionDenied, "only super-admins create organisations");
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  const std::string slug = reader.required_text("slug");
  const std::string name = reader.text("name").value_or(slug);
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const Organisation organisation, access::create_organisation(change, slug, name));
  return organisation_response(organisation);
}

ControlResult<net::Response> update(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  GANTRY_TRY(const Organisation before, reach_organisation(call, change.tx()));
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  const std::string name = reader.required_text("name");
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const Organisation organisation, access::rename_organisation(before.id, change, name));
  return organisation_response(organisation);
}

ControlResult<net::Response> remove(const CloudCall& call, ControlChange& change, const Json&) {
  if (!call.who.is_super_admin)
    return access::refuse(Code::PermissionDenied, "only super-admins delete organisations");
  GANTRY_TRY(const Organisation organisation, reach_organisation(call, change.tx()));
  GANTRY_CHECK(access::delete_organisation(organisation.id, change));
  return net::Response{.status = 204};
}

}  // namespace

void add_cloud_organisation_routes(net::Router& router, const CloudServices& services) {
  const CloudRule reads{.scope = Scope::OrgsRead, .is_organisation_wide = false};
  const CloudRule writes{.scope = Scope::OrgsWrite};
  add_reader(router, services, net::Method::Get, "/api/orgs", reads, list);
  add_changer(router, services, net::Method::Post, "/api/orgs", {}, create);
  add_reader(router, services, net::Method::Get, "/api/orgs/{org}", reads, read);
  add_changer(router, services, net::Method::Post, "/api/orgs/{org}", writes, update);
  add_changer(router, services, net::Method::Delete, "/api/orgs/{org}", {}, remove);
}

}  // namespace gantry::api
