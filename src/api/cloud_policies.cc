// /api/v1/accesspolicies

#include <array>
#include <utility>

#include <fmt/core.h>

#include "access/policies.h"
#include "api/cloud_internal.h"

namespace gantry::api {
namespace {

using access::Policy;
using access::Scope;

void write_realm(core::JsonWriter& json, const access::Realm& realm) {
  json.begin_object();
  json.key("type").string(access::realm_type_name(realm.type));
  json.key("identifier").string(std::to_string(realm.identifier));
  json.key("labelPolicies").begin_array();
  if (realm.label_policies)
    for (const std::string& selector : *realm.label_policies)
      json.begin_object().key("selector").string(selector).end_object();
  json.end_array();
  json.end_object();
}

void write_policy(core::JsonWriter& json, const Policy& policy,
                  const std::vector<std::string>& warnings = {}) {
  json.begin_object();
  json.key("id").string(policy.id);
  json.key("orgId").string(std::to_string(policy.org.value()));
  json.key("name").string(policy.name);
  json.key("displayName").string(policy.display_name);
  json.key("scopes").begin_array();
  for (const std::string& scope : policy.scopes) json.string(scope);
  json.end_array();
  json.key("realms").begin_array();
  for (const access::Realm& realm : policy.realms) write_realm(json, realm);
  json.end_array();
  if (!policy.allowed_subnets.empty()) {
    json.key("conditions").begin_object().key("allowedSubnets").begin_array();
    for (const std::string& subnet : policy.allowed_subnets) json.string(subnet);
    json.end_array().end_object();
  }
  json.key("attributes").raw(policy.attributes);
  json.key("status").string(policy.is_active ? "active" : "inactive");
  json.key("source").string(policy.is_system ? "system" : "user");
  write_time(json, "createdAt", policy.created_at);
  write_time(json, "updatedAt", policy.updated_at);
  if (!warnings.empty()) {
    json.key("warnings").begin_array();
    for (const std::string& warning : warnings) json.string(warning);
    json.end_array();
  }
  json.end_object();
}

net::Response policy_response(const Policy& policy, const std::vector<std::string>& warnings = {}) {
  std::string body;
  core::JsonWriter json(body);
  write_policy(json, policy, warnings);
  return net::json_response(200, std::move(body));
}

std::vector<std::string> read_label_policies(BodyReader& realm,
                                             std::vector<access::FieldProblem>& problems) {
  std::vector<std::string> selectors;
  const Json* const list = realm.array("labelPolicies");
  if (list == nullptr) return selectors;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string where = fmt::format("labelPolicies[{}]", i);
    if (!(*list)[i].is_object()) {
      realm.complain(where, "must be an object");
      continue;
    }
    BodyReader policy((*list)[i], realm.path_of(where), problems);
    selectors.push_back(policy.required_text("selector"));
  }
  return selectors;
}

std::optional<std::vector<access::RealmDraft>> read_realms(
    BodyReader& body, std::vector<access::FieldProblem>& problems) {
  const Json* const list = body.array("realms");
  if (list == nullptr) return std::nullopt;
  std::vector<access::RealmDraft> realms;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string where = fmt::format("realms[{}]", i);
    const Json& item = (*list)[i];
    if (!item.is_object()) {
      body.complain(where, "must be an object");
      continue;
    }
    BodyReader realm(item, where, problems);
    access::RealmDraft draft;
    draft.type = realm.required_text("type");
    // Clients that know organisations and stacks by number send the number.
    const auto number = item.find("identifier");
    if (number != item.end() && number->is_number_unsigned())
      draft.identifier = std::to_string(number->get<std::uint64_t>());
    else
      draft.identifier = realm.required_text("identifier");
    draft.label_policies = read_label_policies(realm, problems);
    realms.push_back(std::move(draft));
  }
  return realms;
}

/// Null when the body says nothing about conditions; {} and an empty list remove them.
std::optional<std::vector<std::string>> read_subnets(BodyReader& body,
                                                     std::vector<access::FieldProblem>& problems) {
  if (!body.has("conditions")) return std::nullopt;
  const Json* const conditions = body.object("conditions");
  if (conditions == nullptr) return std::vector<std::string>();
  BodyReader reader(*conditions, "conditions", problems);
  return reader.texts("allowedSubnets").value_or(std::vector<std::string>());
}

std::optional<std::string> read_attributes(BodyReader& body) {
  if (!body.has("attributes")) return std::nullopt;
  const Json* const attributes = body.object("attributes");
  return attributes == nullptr ? "{}" : attributes->dump();
}

std::optional<bool> read_status(BodyReader& body) {
  const auto status = body.text("status");
  if (!status) return std::nullopt;
  if (*status != "active" && *status != "inactive")
    body.complain("status", "must be \"active\" or \"inactive\"");
  return *status == "active";
}

ControlResult<net::Response> create(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  access::PolicyDraft draft;
  draft.name = reader.required_text("name");
  draft.display_name = reader.text("displayName").value_or("");
  draft.scopes = reader.texts("scopes").value_or(std::vector<std::string>());
  draft.realms = read_realms(reader, problems).value_or(std::vector<access::RealmDraft>());
  draft.allowed_subnets = read_subnets(reader, problems).value_or(std::vector<std::string>());
  draft.attributes = read_attributes(reader).value_or("{}");
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const Policy policy, access::create_policy(call.org, change, draft));
  return policy_response(policy, access::policy_warnings(policy));
}

ControlResult<net::Response> update(const CloudCall& call, ControlChange& change,
                                    const Json& body) {
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  access::PolicyChanges changes;
  changes.display_name = reader.text("displayName");
  changes.scopes = reader.texts("scopes");
  changes.realms = read_realms(reader, problems);
  changes.allowed_subnets = read_subnets(reader, problems);
  changes.attributes = read_attributes(reader);
  changes.is_active = read_status(reader);
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const Policy policy,
             access::update_policy(call.org, change, call.request.path_parameter("id"), changes));
  return policy_response(policy, access::policy_warnings(policy));
}

ControlResult<net::Response> list(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const CloudPage page, read_page(call));
  const access::PolicyFilter filter{.name = call.parameter("name"),
                                    .realm_type = call.parameter("realmType"),
                                    .realm_identifier = call.parameter("realmIdentifier"),
                                    .status = call.parameter("status")};
  GANTRY_TRY(std::vector<Policy> policies, access::list_policies(call.org, tx, filter, page.start));
  std::optional<access::PageCursor> last;
  if (policies.size() > page.size) {
    policies.resize(page.size);
    last = {.created_at = policies.back().created_at,
            .id = policies.back().id,
            .filter_hash = page.filter_hash};
  }
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (const Policy& policy : policies) write_policy(json, policy);
  json.end_array();
  write_pagination(json, call, page, last);
  json.end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> read(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const Policy policy,
             access::read_policy(call.org, tx, call.request.path_parameter("id")));
  return policy_response(policy);
}

ControlResult<net::Response> remove(const CloudCall& call, ControlChange& change, const Json&) {
  GANTRY_CHECK(access::delete_policy(call.org, change, call.request.path_parameter("id")));
  return net::Response{.status = 204};
}

struct ScopeHelp {
  Scope scope;
  std::string_view help;
};

constexpr std::array kScopeHelp = {
    ScopeHelp{Scope::MetricsRead, "Query metrics: PromQL, federation, exemplars, metadata"},
    ScopeHelp{Scope::MetricsWrite, "Write metrics: remote write, OTLP, Influx"},
    ScopeHelp{Scope::MetricsImport, "Write samples older than the out-of-order window"},
    ScopeHelp{Scope::MetricsDelete, "Delete series"},
    ScopeHelp{Scope::MetricsExport, "Export active series"},
    ScopeHelp{Scope::LogsRead, "Read logs"},
    ScopeHelp{Scope::LogsWrite, "Write logs"},
    ScopeHelp{Scope::LogsDelete, "Delete logs"},
    ScopeHelp{Scope::TracesRead, "Query traces"},
    ScopeHelp{Scope::TracesWrite, "Write traces"},
    ScopeHelp{Scope::TracesDelete, "Delete traces"},
    ScopeHelp{Scope::ProfilesRead, "Read profiles"},
    ScopeHelp{Scope::ProfilesWrite, "Write profiles"},
    ScopeHelp{Scope::RulesRead, "Read rule groups"},
    ScopeHelp{Scope::RulesWrite, "Change rule groups"},
    ScopeHelp{Scope::AlertsRead, "Read alerts"},
    ScopeHelp{Scope::AlertsWrite, "Change silences and notifications"},
    ScopeHelp{Scope::StacksRead, "Read stacks and their connections"},
    ScopeHelp{Scope::StacksWrite, "Create and change stacks"},
    ScopeHelp{Scope::StacksDelete, "Delete stacks"},
    ScopeHelp{Scope::OrgsRead, "Read the organisation and its members"},
    ScopeHelp{Scope::OrgsWrite, "Rename the organisation, change members' roles"},
    ScopeHelp{Scope::AccessPoliciesRead, "Read access policies and tokens"},
    ScopeHelp{Scope::AccessPoliciesWrite, "Create and change access policies and tokens"},
    ScopeHelp{Scope::AccessPoliciesDelete, "Delete access policies and tokens"},
    ScopeHelp{Scope::DestinationsRead, "Read destinations, without their secrets"},
    ScopeHelp{Scope::DestinationsWrite, "Change destinations"},
    ScopeHelp{Scope::PipelinesRead, "Read sampling, filters and aggregation"},
    ScopeHelp{Scope::PipelinesWrite, "Change sampling, filters and aggregation"},
    ScopeHelp{Scope::DashboardsRead, "Read dashboards and backlinks"},
    ScopeHelp{Scope::DashboardsWrite, "Change dashboards and backlinks"},
    ScopeHelp{Scope::LlmInvoke, "Use the LLM gateway"},
    ScopeHelp{Scope::AuditRead, "Read the audit log"},
};
static_assert(kScopeHelp.size() == access::kScopeCount);

bool belongs_to_organisation(Scope scope) {
  switch (scope) {
    case Scope::OrgsRead:
    case Scope::OrgsWrite:
    case Scope::AccessPoliciesRead:
    case Scope::AccessPoliciesWrite:
    case Scope::AccessPoliciesDelete:
    case Scope::AuditRead:
      return true;
    default:
      return false;
  }
}

void write_set(core::JsonWriter& json, std::string_view name,
               const std::function<bool(std::string_view)>& has) {
  json.begin_object().key("name").string(name).key("scopes").begin_array();
  for (const ScopeHelp& each : kScopeHelp)
    if (has(access::scope_name(each.scope))) json.string(access::scope_name(each.scope));
  json.end_array().end_object();
}

void write_sets(core::JsonWriter& json) {
  const auto is_of = [](std::string_view scope, std::string_view areas, std::string_view act) {
    const std::size_t colon = scope.find(':');
    return scope.substr(colon + 1) == act && areas.contains(scope.substr(0, colon));
  };
  constexpr std::string_view kSignals = "metrics logs traces alerts rules profiles";
  json.key("sets").begin_array();
  write_set(json, "read", [&](std::string_view scope) { return is_of(scope, kSignals, "read"); });
  write_set(json, "write", [&](std::string_view scope) { return is_of(scope, kSignals, "write"); });
  write_set(json, "set:grafana-datasource", [&](std::string_view scope) {
    return is_of(scope, "metrics traces rules alerts", "read");
  });
  write_set(json, "set:collector",
            [&](std::string_view scope) { return is_of(scope, "metrics logs traces", "write"); });
  write_set(json, "set:admin", [](std::string_view) { return true; });
  json.end_array();
}

/// Without credentials, as Cloud's: it says nothing about who is here.
net::Response describe_configuration() {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("scopes").begin_array();
  for (const ScopeHelp& each : kScopeHelp) {
    json.begin_object();
    json.key("name").string(access::scope_name(each.scope));
    json.key("description").string(each.help);
    if (belongs_to_organisation(each.scope)) json.key("requiresRealmType").string("org");
    json.end_object();
  }
  json.end_array();
  json.key("realms").begin_array().end_array();
  write_sets(json);
  json.end_object();
  return net::json_response(200, std::move(body));
}

}  // namespace

void add_cloud_policy_routes(net::Router& router, const CloudServices& services) {
  constexpr std::string_view kList = "/api/v1/accesspolicies";
  constexpr std::string_view kOne = "/api/v1/accesspolicies/{id}";
  const CloudRule reads{.scope = Scope::AccessPoliciesRead, .needs_region = true};
  const CloudRule writes{.scope = Scope::AccessPoliciesWrite, .needs_region = true};
  const CloudRule deletes{.scope = Scope::AccessPoliciesDelete, .needs_region = true};
  router.add(net::Method::Get, "/api/v1/accesspolicies/config", {.access = "public"},
             [](net::Request&) { return describe_configuration(); });
  add_reader(router, services, net::Method::Get, kList, reads, list);
  add_changer(router, services, net::Method::Post, kList, writes, create);
  add_reader(router, services, net::Method::Get, kOne, reads, read);
  add_changer(router, services, net::Method::Post, kOne, writes, update);
  add_changer(router, services, net::Method::Delete, kOne, deletes, remove);
}

}  // namespace gantry::api
