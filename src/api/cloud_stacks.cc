// /api/instances (the older shape), /api/v1/stacks (the newer one), /api/stack-regions.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "access/ceiling.h"
#include "access/organisations.h"
#include "access/stacks.h"
#include "api/cloud_internal.h"
#include "broadcast/destination_rows.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

using access::Organisation;
using access::Scope;
using access::Stack;

constexpr std::size_t kPageSizeDefault = 100;
constexpr std::size_t kPageSizeMax = 500;

void write_labels(core::JsonWriter& json, const Stack& stack) {
  json.key("labels").begin_object();
  for (const auto& [name, value] : stack.labels) json.key(name).string(value);
  json.end_object();
}

/// {id, slug, name, description, region, orgId, orgSlug, url, labels{}, deleteProtection}, and what
/// is Gantry's own.
void write_stack(core::JsonWriter& json, const CloudCall& call, const Stack& stack,
                 const Organisation& organisation) {
  json.begin_object();
  json.key("id").string(std::to_string(stack.id.value()));
  json.key("slug").string(stack.slug);
  json.key("name").string(stack.name);
  json.key("description").string(stack.description);
  json.key("region").string(stack.zone);
  json.key("orgId").string(std::to_string(organisation.id.value()));
  json.key("orgSlug").string(organisation.slug);
  json.key("url").string(call.services.url());
  write_labels(json, stack);
  json.key("deleteProtection").boolean(stack.has_delete_protection);
  json.key("status").string("active");
  json.key("metricsId").string(std::to_string(stack.aliases.metrics.value_or(stack.id.value())));
  json.key("logsId").string(std::to_string(stack.aliases.logs.value_or(stack.id.value())));
  json.key("tracesId").string(std::to_string(stack.aliases.traces.value_or(stack.id.value())));
  json.key("settings").raw(access::format_stack_settings(stack.settings));
  write_time(json, "createdAt", stack.created_at);
  write_time(json, "updatedAt", stack.updated_at);
  json.end_object();
}

void write_signal(core::JsonWriter& json, std::string_view prefix, const Stack& stack,
                  const std::optional<std::uint32_t>& alias, const std::string& url) {
  json.key(fmt::format("{}Id", prefix)).integer(alias.value_or(stack.id.value()));
  json.key(fmt::format("{}Url", prefix)).string(url);
  json.key(fmt::format("{}Name", prefix)).string(stack.slug);
  json.key(fmt::format("{}Status", prefix)).string("active");
}

/// As Cloud's FormattedApiInstance: one id per signal, the instance id where there is no alias.
void write_instance(core::JsonWriter& json, const CloudCall& call, const Stack& stack,
                    const Organisation& organisation) {
  const std::string url = call.services.url();
  json.begin_object();
  json.key("id").integer(stack.id.value());
  json.key("orgId").integer(organisation.id.value());
  json.key("orgSlug").string(organisation.slug);
  json.key("orgName").string(organisation.name);
  json.key("slug").string(stack.slug);
  json.key("name").string(stack.name);
  json.key("description").string(stack.description);
  json.key("url").string(url);
  json.key("status").string("active");
  write_labels(json, stack);
  json.key("deleteProtection").boolean(stack.has_delete_protection);
  json.key("regionId").integer(1);
  json.key("regionSlug").string(stack.zone);
  json.key("clusterId").integer(1);
  json.key("clusterSlug").string(stack.zone);
  json.key("clusterName").string(stack.zone);
  json.key("provider").string("gantry");
  json.key("providerRegion").string(stack.zone);
  write_signal(json, "hmInstanceProm", stack, stack.aliases.metrics, url);
  json.key("hmInstancePromClusterId").integer(1);
  write_signal(json, "hlInstance", stack, stack.aliases.logs, url);
  write_signal(json, "htInstance", stack, stack.aliases.traces, url);
  write_time(json, "createdAt", stack.created_at);
  write_time(json, "updatedAt", stack.updated_at);
  json.end_object();
}

using StackWriter = void (*)(core::JsonWriter&, const CloudCall&, const Stack&,
                             const Organisation&);

ControlResult<net::Response> stack_response(const CloudCall& call, state::Transaction& tx,
                                            const Stack& stack, StackWriter write) {
  GANTRY_TRY(const Organisation organisation, access::read_organisation(call.org, tx));
  std::string body;
  core::JsonWriter json(body);
  write(json, call, stack, organisation);
  return net::json_response(200, std::move(body));
}

/// A token sees the stacks of its realms, a person those of the organisation.
bool is_reached(const CloudCall& call, const Stack& stack) {
  return std::ranges::any_of(call.who.realms,
                             [&](const access::Realm& realm) {
                               return realm.type == access::Realm::Type::Org
                                          ? realm.identifier == call.org.value()
                                          : realm.identifier == stack.id.value();
                             }) ||
         call.who.is_super_admin;
}

ControlResult<Stack> reach_stack(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(Stack stack, access::read_stack(call.org, tx, call.request.path_parameter("stack")));
  if (!is_reached(call, stack)) return access::refuse(Code::NotFound, "no such stack");
  return stack;
}

ControlResult<std::size_t> number_parameter(const CloudCall& call, std::string_view name,
                                            std::size_t fallback, std::size_t most) {
  const std::string text = call.parameter(name);
  if (text.empty()) return fallback;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most)
    return access::refuse_field(std::string(name),
                                fmt::format("must be a whole number from 1 to {}", most));
  return value;
}

ControlResult<net::Response> list(const CloudCall& call, state::Transaction& tx,
                                  StackWriter write) {
  constexpr std::size_t kPagesMax = 1'000'000;
  GANTRY_TRY(const std::size_t size,
             number_parameter(call, "pageSize", kPageSizeDefault, kPageSizeMax));
  GANTRY_TRY(const std::size_t number, number_parameter(call, "page", 1, kPagesMax));
  GANTRY_TRY(std::vector<Stack> stacks, access::list_stacks(call.org, tx));
  const std::string slug = call.parameter("slug");
  std::erase_if(stacks, [&](const Stack& stack) {
    return !is_reached(call, stack) || (!slug.empty() && stack.slug != slug);
  });
  GANTRY_TRY(const Organisation organisation, access::read_organisation(call.org, tx));
  const std::size_t first = std::min(stacks.size(), (number - 1) * size);
  const std::size_t last = std::min(stacks.size(), first + size);
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (std::size_t i = first; i < last; ++i) write(json, call, stacks[i], organisation);
  json.end_array();
  json.key("total").integer(stacks.size());
  json.key("pages").integer((stacks.size() + size - 1) / size);
  json.key("pageSize").integer(size);
  json.key("page").integer(number);
  json.key("orderBy").string("id");
  json.key("direction").string("asc");
  json.end_object();
  return net::json_response(200, std::move(body));
}

std::optional<std::map<std::string, std::string>> read_labels(BodyReader& body) {
  const Json* const object = body.object("labels");
  if (object == nullptr) return std::nullopt;
  std::map<std::string, std::string> labels;
  for (const auto& [name, value] : object->items()) {
    if (value.is_string())
      labels.emplace(name, value.get<std::string>());
    else
      body.complain(fmt::format("labels.{}", name), "must be a string");
  }
  return labels;
}

std::optional<access::StackSettings> read_settings(BodyReader& body,
                                                   std::vector<access::FieldProblem>& problems) {
  const Json* const object = body.object("settings");
  if (object == nullptr) return std::nullopt;
  auto settings = access::parse_stack_settings(object->dump(), "settings");
  if (settings) return *settings;
  for (access::FieldProblem& problem : settings.error().fields)
    problems.push_back(std::move(problem));
  return std::nullopt;
}

/// Null and the stack's own id: none.
access::StackAliasChanges read_aliases(BodyReader& body) {
  const auto read = [&](std::string_view key) -> std::optional<std::optional<std::uint32_t>> {
    if (!body.has(key)) return std::nullopt;
    const auto id = body.number(key);
    if (!id) return std::optional<std::uint32_t>();
    if (*id == 0 || *id > std::numeric_limits<std::uint32_t>::max())
      body.complain(key, "must be from 1 to 4294967295");
    return std::optional(static_cast<std::uint32_t>(*id));
  };
  return {.metrics = read("metricsId"), .logs = read("logsId"), .traces = read("tracesId")};
}

ControlResult<net::Response> create(const CloudCall& call, ControlChange& change, const Json& body,
                                    StackWriter write) {
  // Only who reaches the whole organisation may add to it.
  GANTRY_CHECK(access::require_organisation_realm(call.who, call.org));
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  access::StackDraft draft;
  draft.name = reader.required_text("name");
  draft.slug = reader.text("slug").value_or(draft.name);
  draft.zone = reader.text("region").value_or("");
  draft.description = reader.text("description").value_or("");
  draft.labels = read_labels(reader).value_or(std::map<std::string, std::string>());
  draft.has_delete_protection = reader.boolean("deleteProtection").value_or(false);
  draft.settings = read_settings(reader, problems).value_or(access::StackSettings());
  draft.aliases = read_aliases(reader);
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const Stack stack, access::create_stack(call.org, change, draft));
  // Before the commit: a stack that is there can be written to.
  GANTRY_CHECK(call.services.stacks.open(stack));
  change.on_rollback([&stacks = call.services.stacks, id = stack.id] { stacks.retire(id); });
  return stack_response(call, change.tx(), stack, write);
}

ControlResult<net::Response> update(const CloudCall& call, ControlChange& change, const Json& body,
                                    StackWriter write) {
  GANTRY_TRY(const Stack before, reach_stack(call, change.tx()));
  std::vector<access::FieldProblem> problems;
  BodyReader reader(body, "", problems);
  access::StackChanges changes;
  changes.name = reader.text("name");
  changes.description = reader.text("description");
  changes.labels = read_labels(reader);
  changes.has_delete_protection = reader.boolean("deleteProtection");
  changes.settings = read_settings(reader, problems);
  changes.aliases = read_aliases(reader);
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  GANTRY_TRY(const Stack stack,
             access::update_stack(call.org, change, std::to_string(before.id.value()), changes));
  change.after_commit([&stacks = call.services.stacks, stack] { stacks.reconfigure(stack); });
  return stack_response(call, change.tx(), stack, write);
}

ControlResult<net::Response> remove(const CloudCall& call, ControlChange& change,
                                    StackWriter write) {
  GANTRY_TRY(const Stack stack, reach_stack(call, change.tx()));
  // Before the stack: those of one that is deleted are not found any more.
  GANTRY_CHECK(broadcast::delete_destinations(call.org, change, stack.id));
  GANTRY_TRY(const Stack deleted,
             access::delete_stack(call.org, change, std::to_string(stack.id.value())));
  change.after_commit([&stacks = call.services.stacks, id = stack.id] { stacks.retire(id); });
  if (write == write_stack) return net::Response{.status = 204};
  return stack_response(call, change.tx(), deleted, write);
}

ControlResult<net::Response> read_connections(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const Stack stack, reach_stack(call, tx));
  const std::string url = call.services.url();
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("tenants").begin_array();
  for (const std::string_view type : {"prometheus", "otlp", "influx"}) {
    // OTLP takes every signal, so its user name is the one that is good for all.
    const std::uint32_t id =
        type == "otlp" ? stack.id.value() : stack.aliases.metrics.value_or(stack.id.value());
    json.begin_object();
    json.key("id").string(std::to_string(id));
    json.key("type").string(type);
    json.key("url").string(type == "prometheus" ? url + "/api/prom"
                           : type == "otlp"     ? url + "/otlp"
                                                : url + "/api/v1/push/influx/write");
    json.end_object();
  }
  json.end_array();
  json.key("otlp").begin_object();
  json.key("url").string(url + "/otlp");
  json.key("multiAZ").boolean(false);
  json.end_object();
  json.key("services").begin_object();
  json.key("influxUrl").string(url + "/api/v1/push/influx/write");
  json.end_object().end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> read_old_connections(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const Stack stack, reach_stack(call, tx));
  const std::string url = call.services.url();
  std::string body;
  core::JsonWriter json(body);
  json.begin_object();
  json.key("otlpHttpUrl").string(url + "/otlp");
  json.key("influxUrl").string(url + "/api/v1/push/influx/write");
  json.end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> list_regions(const CloudCall& call, state::Transaction& tx) {
  GANTRY_TRY(const std::vector<Stack> stacks, access::list_stacks(call.org, tx));
  std::vector<std::string> zones = {call.services.control.rules.zone};
  for (const Stack& stack : stacks)
    if (std::ranges::find(zones, stack.zone) == zones.end()) zones.push_back(stack.zone);
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (std::size_t i = 0; i < zones.size(); ++i) {
    json.begin_object();
    json.key("id").integer(i + 1);
    json.key("slug").string(zones[i]);
    json.key("name").string(zones[i]);
    json.key("description").string("");
    json.key("provider").string("gantry");
    json.key("status").string("active");
    json.key("visibility").string("public");
    json.end_object();
  }
  json.end_array();
  json.key("orderBy").string("id");
  json.key("direction").string("asc");
  json.end_object();
  return net::json_response(200, std::move(body));
}

void add_family(net::Router& router, const CloudServices& services, std::string_view base,
                StackWriter write) {
  const std::string one = fmt::format("{}/{{stack}}", base);
  const CloudRule reads{.scope = Scope::StacksRead, .is_organisation_wide = false};
  const CloudRule writes{.scope = Scope::StacksWrite, .is_organisation_wide = false};
  const CloudRule deletes{.scope = Scope::StacksDelete, .is_organisation_wide = false};
  add_reader(
      router, services, net::Method::Get, base, reads,
      [write](const CloudCall& call, state::Transaction& tx) { return list(call, tx, write); });
  add_changer(router, services, net::Method::Post, base, writes,
              [write](const CloudCall& call, ControlChange& change, const Json& body) {
                return create(call, change, body, write);
              });
  add_reader(
      router, services, net::Method::Get, one, reads,
      [write](const CloudCall& call, state::Transaction& tx) -> ControlResult<net::Response> {
        GANTRY_TRY(const Stack stack, reach_stack(call, tx));
        return stack_response(call, tx, stack, write);
      });
  add_changer(router, services, net::Method::Post, one, writes,
              [write](const CloudCall& call, ControlChange& change, const Json& body) {
                return update(call, change, body, write);
              });
  add_changer(router, services, net::Method::Delete, one, deletes,
              [write](const CloudCall& call, ControlChange& change, const Json&) {
                return remove(call, change, write);
              });
}

}  // namespace

void add_cloud_stack_routes(net::Router& router, const CloudServices& services) {
  const CloudRule reads{.scope = Scope::StacksRead, .is_organisation_wide = false};
  add_family(router, services, "/api/instances", write_instance);
  add_family(router, services, "/api/v1/stacks", write_stack);
  add_reader(router, services, net::Method::Get, "/api/instances/{stack}/connections", reads,
             read_old_connections);
  add_reader(router, services, net::Method::Get, "/api/v1/stacks/{stack}/connections", reads,
             read_connections);
  // Clients walk the regions before they list anything, whatever they may do afterwards.
  add_reader(router, services, net::Method::Get, "/api/stack-regions",
             {.is_organisation_wide = false}, list_regions);
  add_reader(router, services, net::Method::Get, "/api/orgs/{org}/instances", reads,
             [](const CloudCall& call, state::Transaction& tx) -> ControlResult<net::Response> {
               GANTRY_TRY(const auto found,
                          access::look_up_organisation(tx, call.request.path_parameter("org")));
               if (!found || found->id != call.org)
                 return access::refuse(Code::NotFound, "no such organisation");
               return list(call, tx, write_instance);
             });
}

}  // namespace gantry::api
