#include "access/scope.h"

#include <array>

namespace gantry::access {
namespace {

// In the order of the enumerators.
constexpr std::array<std::string_view, kScopeCount> kNames = {
    "metrics:read",
    "metrics:write",
    "metrics:import",
    "metrics:delete",
    "metrics:export",
    "logs:read",
    "logs:write",
    "logs:delete",
    "traces:read",
    "traces:write",
    "traces:delete",
    "profiles:read",
    "profiles:write",
    "rules:read",
    "rules:write",
    "alerts:read",
    "alerts:write",
    "stacks:read",
    "stacks:write",
    "stacks:delete",
    "orgs:read",
    "orgs:write",
    "accesspolicies:read",
    "accesspolicies:write",
    "accesspolicies:delete",
    "destinations:read",
    "destinations:write",
    "pipelines:read",
    "pipelines:write",
    "dashboards:read",
    "dashboards:write",
    "llm:invoke",
    "audit:read",
};

}  // namespace

std::string_view scope_name(Scope scope) {
  return kNames[static_cast<std::size_t>(scope)];
}

std::optional<Scope> parse_scope(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Scope>(i);
  return std::nullopt;
}

bool is_write_scope(Scope scope) {
  switch (scope) {
    case Scope::MetricsWrite:
    case Scope::MetricsImport:
    case Scope::LogsWrite:
    case Scope::TracesWrite:
    case Scope::ProfilesWrite:
      return true;
    default:
      return false;
  }
}

bool is_read_scope(Scope scope) {
  return scope_name(scope).ends_with(":read");
}

}  // namespace gantry::access
