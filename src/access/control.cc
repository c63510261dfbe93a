#include "access/control.h"

#include <array>

#include "access/stored_text.h"

namespace gantry::access {
namespace {

constexpr std::size_t kUserAgentBytesMax = 200;
constexpr std::array<std::string_view, 3> kRoleNames = {"viewer", "editor", "admin"};

constexpr std::array kViewerScopes = {
    Scope::MetricsRead, Scope::LogsRead,       Scope::TracesRead,       Scope::ProfilesRead,
    Scope::RulesRead,   Scope::AlertsRead,     Scope::StacksRead,       Scope::OrgsRead,
    Scope::AuditRead,   Scope::DashboardsRead, Scope::DestinationsRead, Scope::PipelinesRead};

constexpr std::array kEditorScopes = {Scope::RulesWrite,     Scope::AlertsWrite,
                                      Scope::StacksWrite,    Scope::DestinationsWrite,
                                      Scope::PipelinesWrite, Scope::DashboardsWrite};

}  // namespace

std::string_view role_name(Role role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}

std::optional<Role> parse_role(std::string_view name) {
  for (std::size_t i = 0; i < kRoleNames.size(); ++i)
    if (kRoleNames[i] == name) return static_cast<Role>(i);
  return std::nullopt;
}

ScopeSet role_scopes(Role role) {
  ScopeSet scopes;
  if (role == Role::Admin) {
    for (std::size_t i = 0; i < kScopeCount; ++i) scopes.add(static_cast<Scope>(i));
    return scopes;
  }
  for (const Scope scope : kViewerScopes) scopes.add(scope);
  if (role == Role::Editor)
    for (const Scope scope : kEditorScopes) scopes.add(scope);
  return scopes;
}

std::string_view actor_type_name(Actor::Type type) {
  switch (type) {
    case Actor::Type::User:
      return "user";
    case Actor::Type::Token:
      return "token";
    case Actor::Type::System:
      return "system";
    case Actor::Type::Anonymous:
      return "anonymous";
  }
  return "anonymous";
}

ClientContext client_context(const net::Request& request) {
  return {.ip = request.peer_address,
          .user_agent = stored_text(request.headers.find("User-Agent"), kUserAgentBytesMax),
          .request_id = request.request_id};
}

}  // namespace gantry::access
