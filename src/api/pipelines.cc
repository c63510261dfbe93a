#include "api/pipelines.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/management_internal.h"
#include "api/pipeline_trial_internal.h"
#include "core/json_writer.h"
#include "core/log.h"
#include "core/rfc3339.h"
#include "pipeline/stack_rule_rows.h"
#include "pipeline/stack_rules.h"

namespace gantry::api {
namespace {

using access::ControlChange;
using access::ControlResult;
using access::Scope;
using pipeline::StackRules;
using pipeline::StackRulesBody;
using pipeline::StoredRules;

constexpr std::size_t kTrialBytesMax = 2 << 20;

net::Response rules_response(const StoredRules& stored) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data").begin_object();
  json.key("workspace_id").string(std::to_string(stored.stack.value()));
  pipeline::write_stack_rules(json, stored.rules);
  json.key("version").integer(stored.version);
  json.key("updated_at");
  if (stored.version == 0)
    json.null();
  else
    json.string(core::format_rfc3339(stored.updated_at));
  json.end_object().end_object();
  return net::json_response(200, std::move(body));
}

/// Named in the body, or beside it.
ControlResult<std::optional<std::string>> wanted_workspace(const ManagementCall& call,
                                                           const StackRulesBody& body) {
  GANTRY_TRY(std::optional<std::string> id, body.workspace_id());
  if (!id) id = workspace_parameter(call);
  return id;
}

ControlResult<StoredRules> read_stored(const ManagementCall& call,
                                       const std::optional<std::string>& workspace) {
  GANTRY_TRY(state::Transaction tx, call.control.db.begin_read());
  GANTRY_TRY(const StackId stack, read_workspace(call, tx, workspace));
  return pipeline::read_stack_rules(call.org, tx, stack);
}

ControlResult<net::Response> save(const ManagementCall& call, const PipelineServices& services,
                                  const pipeline::RulesUpdate& update) {
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.control, call.who));
  GANTRY_TRY(const StoredRules stored, pipeline::save_stack_rules(call.org, change, update));
  GANTRY_CHECK(change.commit());
  if (const auto refreshed = services.refresh(); !refreshed)
    log::warn("rules of a stack are saved and not applied yet",
              {{"instance_id", stored.stack.value()}, {"error", refreshed.error().message}});
  return rules_response(stored);
}

ControlResult<net::Response> read(const ManagementCall& call) {
  GANTRY_TRY(const StoredRules stored, read_stored(call, workspace_parameter(call)));
  return rules_response(stored);
}

ControlResult<net::Response> replace(const ManagementCall& call, const PipelineServices& services) {
  GANTRY_TRY(const StackRulesBody body, StackRulesBody::parse(call.request.body));
  GANTRY_TRY(const StackRules rules, body.apply({}));
  GANTRY_TRY(const auto version, body.version());
  GANTRY_TRY(const auto workspace, wanted_workspace(call, body));
  GANTRY_TRY(const StoredRules before, read_stored(call, workspace));
  return save(call, services, {.stack = before.stack, .rules = rules, .version = version});
}

ControlResult<net::Response> change(const ManagementCall& call, const PipelineServices& services) {
  GANTRY_TRY(const StackRulesBody body, StackRulesBody::parse(call.request.body));
  GANTRY_TRY(const auto version, body.version());
  GANTRY_TRY(const auto workspace, wanted_workspace(call, body));
  GANTRY_TRY(const StoredRules before, read_stored(call, workspace));
  GANTRY_TRY(const StackRules rules, body.apply(before.rules));
  return save(call, services,
              {.stack = before.stack, .rules = rules, .version = version.value_or(before.version)});
}

ControlResult<net::Response> clear(const ManagementCall& call, const PipelineServices& services) {
  GANTRY_TRY(const StoredRules before, read_stored(call, workspace_parameter(call)));
  const StackRules none;
  return save(call, services, {.stack = before.stack, .rules = none, .version = std::nullopt});
}

ControlResult<net::Response> test(const ManagementCall& call) {
  GANTRY_TRY(const StoredRules stored, read_stored(call, workspace_parameter(call)));
  GANTRY_TRY(std::string shown, try_rules(stored, call.request.body));
  return net::json_response(200, std::move(shown));
}

}  // namespace

void add_pipeline_routes(net::Router& router, const PipelineServices& services) {
  constexpr std::string_view kPath = "/api/v1/observability/pipeline";
  const ManagementSurface surface{
      .gate = services.gate, .control = services.control, .rate = services.rate};
  const auto add_change = [&](net::Method method, auto act) {
    add_management_route(
        router, surface,
        {.method = method,
         .pattern = kPath,
         .scope = Scope::PipelinesWrite,
         .body_bytes_max = pipeline::kStackRulesBytesMax},
        [&services, act](const ManagementCall& call) { return act(call, services); });
  };
  add_management_route(
      router, surface,
      {.method = net::Method::Get, .pattern = kPath, .scope = Scope::PipelinesRead}, read);
  add_change(net::Method::Put, replace);
  add_change(net::Method::Patch, change);
  add_change(net::Method::Delete, clear);
  add_management_route(router, surface,
                       {.method = net::Method::Post,
                        .pattern = "/api/v1/observability/pipeline/test",
                        .scope = Scope::PipelinesRead,
                        .body_bytes_max = kTrialBytesMax},
                       test);
}

}  // namespace gantry::api
