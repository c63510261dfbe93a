#include "access/ceiling.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "access/label_policy.h"
#include "core/ip_network.h"

namespace gantry::access {
namespace {

constexpr std::int64_t kRecentSignInMs = std::int64_t{10} * 60 * 1000;

bool has_no_ceiling(const ControlPrincipal& who) {
  return who.is_super_admin || who.actor.type == Actor::Type::System;
}

/// What of `who` reaches the realm: its own entry, else the organisation's. Null: nothing does.
const Realm* covering_realm(const ControlPrincipal& who, OrgId realm_org, const Realm& realm) {
  const Realm* covering = nullptr;
  for (const Realm& own : who.realms) {
    if (own.type == realm.type && own.identifier == realm.identifier) return &own;
    if (own.type == Realm::Type::Org && own.identifier == realm_org.value()) covering = &own;
  }
  return covering;
}

bool is_realm_within(const ControlPrincipal& who, OrgId realm_org, const Realm& realm) {
  const Realm* const own = covering_realm(who, realm_org, realm);
  if (own == nullptr) return false;
  return is_within(read_visibility(realm.label_policies, "ceiling"),
                   read_visibility(own->label_policies, "ceiling"));
}

/// Both are canonical: "10.0.0.0/8".
bool is_subnet_within(std::string_view narrower, std::string_view wider) {
  const auto split = [](std::string_view text) {
    const std::size_t slash = text.find('/');
    int prefix_bits = -1;
    if (slash != std::string_view::npos)
      std::from_chars(text.data() + slash + 1, text.data() + text.size(), prefix_bits);
    return std::pair(text.substr(0, slash), prefix_bits);
  };
  const auto network = core::IpNetwork::parse(wider);
  const auto [first_text, prefix_bits] = split(narrower);
  const auto first = core::IpAddress::parse(first_text);
  return network && first && network->contains(*first) && prefix_bits >= split(wider).second;
}

bool are_subnets_within(std::span<const std::string> narrower, std::span<const std::string> wider) {
  if (wider.empty()) return true;
  if (narrower.empty()) return false;
  return std::ranges::all_of(narrower, [&](const std::string& subnet) {
    return std::ranges::any_of(
        wider, [&](const std::string& own) { return is_subnet_within(subnet, own); });
  });
}

bool needs_recent_sign_in(std::string_view scope) {
  return scope.ends_with(":delete") || scope == scope_name(Scope::AccessPoliciesWrite) ||
         scope == scope_name(Scope::OrgsWrite);
}

}  // namespace

ControlResult<void> check_ceiling(const ControlPrincipal& who, OrgId realm_org,
                                  const Grantable& granted) {
  if (has_no_ceiling(who)) return {};
  for (const std::string& name : granted.scopes) {
    const auto scope = parse_scope(name);
    if (scope && !who.scopes.contains(*scope))
      return refuse(Code::PermissionDenied,
                    fmt::format("the scope {} is not yours to grant", name));
  }
  for (const Realm& realm : granted.realms)
    if (!is_realm_within(who, realm_org, realm))
      return refuse(
          Code::PermissionDenied,
          fmt::format("the {} {} with these label policies is not yours to grant",
                      realm.type == Realm::Type::Org ? "organisation" : "stack", realm.identifier));
  if (!are_subnets_within(granted.allowed_subnets, who.allowed_subnets))
    return refuse(Code::PermissionDenied,
                  "conditions.allowedSubnets must not reach beyond the addresses that your own "
                  "token is bound to");
  return {};
}

ControlResult<void> require_whole_stack(const ControlPrincipal& who, OrgId org, StackId stack) {
  const Realm whole{
      .type = Realm::Type::Stack, .identifier = stack.value(), .label_policies = std::nullopt};
  const Grantable granted{
      .scopes = {}, .realms = {&whole, 1}, .allowed_subnets = who.allowed_subnets};
  if (check_ceiling(who, org, granted)) return {};
  return refuse(Code::PermissionDenied,
                fmt::format("not all data of the stack {} is yours", stack.value()));
}

ControlResult<void> require_organisation_realm(const ControlPrincipal& who, OrgId org) {
  if (has_no_ceiling(who)) return {};
  const bool has_realm = std::ranges::any_of(who.realms, [&](const Realm& realm) {
    return realm.type == Realm::Type::Org && realm.identifier == org.value();
  });
  if (has_realm) return {};
  return refuse(Code::PermissionDenied,
                "this needs a token whose access policy has the organisation as a realm");
}

ControlResult<void> require_recent_sign_in(const ControlPrincipal& who,
                                           std::span<const std::string> scopes, TimestampMs now) {
  if (who.actor.type != Actor::Type::User || std::ranges::none_of(scopes, needs_recent_sign_in) ||
      now.since_epoch - who.authenticated_at_ms <= kRecentSignInMs)
    return {};
  return refuse(Code::PermissionDenied,
                "sign in again: a token that may delete or administer needs a sign-in of the last "
                "10 minutes");
}

}  // namespace gantry::access
