#include <algorithm>
#include <array>
#include <string>

#include <fmt/core.h>

#include "api/people_json_internal.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

constexpr std::array<std::string_view, 3> kRoleWords = {"Viewer", "Editor", "Admin"};

nlohmann::json time_json(const std::optional<TimestampMs>& time) {
  if (!time) return nullptr;
  return core::format_rfc3339(*time);
}

}  // namespace

std::string_view role_word(access::Role role) {
  return kRoleWords[static_cast<std::size_t>(role)];
}

Result<access::Role> parse_role_word(std::string_view word) {
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (const auto role = access::parse_role(lower)) return *role;
  return fail(Code::InvalidArgument,
              fmt::format("role: \"{}\" is not Viewer, Editor or Admin", word));
}

nlohmann::json user_json(const access::User& user) {
  return {{"id", user.id},
          {"login", user.login},
          {"name", user.name},
          {"email", user.email},
          {"isGrafanaAdmin", user.is_super_admin},
          {"isDisabled", user.is_disabled},
          {"hasPassword", !user.password_hash.empty()},
          {"createdAt", core::format_rfc3339(user.created_at)},
          {"updatedAt", core::format_rfc3339(user.updated_at)},
          {"lastSeenAt", time_json(user.last_login_at)}};
}

nlohmann::json membership_json(const access::Membership& membership) {
  nlohmann::json json = {{"orgId", membership.org.value()},
                         {"slug", membership.org_slug},
                         {"name", membership.org_name},
                         {"role", role_word(membership.role)}};
  if (membership.label_policies) json["labelPolicies"] = *membership.label_policies;
  return json;
}

nlohmann::json member_json(const access::Member& member) {
  nlohmann::json json = {{"orgId", member.membership.org.value()},
                         {"userId", member.user.id},
                         {"login", member.user.login},
                         {"name", member.user.name},
                         {"email", member.user.email},
                         {"isDisabled", member.user.is_disabled},
                         {"role", role_word(member.membership.role)},
                         {"lastSeenAt", time_json(member.user.last_login_at)}};
  if (member.membership.label_policies) json["labelPolicies"] = *member.membership.label_policies;
  return json;
}

nlohmann::json sessions_json(const std::vector<access::SessionRow>& sessions,
                             std::string_view own) {
  nlohmann::json list = nlohmann::json::array();
  for (const access::SessionRow& session : sessions)
    list.push_back({{"id", session.family_id},
                    {"isActive", session.family_id == own},
                    {"clientIp", session.ip},
                    {"userAgent", session.user_agent},
                    {"provider", session.provider},
                    {"createdAt", core::format_rfc3339(session.signed_in_at)},
                    {"seenAt", core::format_rfc3339(session.last_used_at)},
                    {"expiresAt", core::format_rfc3339(session.expires_at)}});
  return list;
}

}  // namespace gantry::api
