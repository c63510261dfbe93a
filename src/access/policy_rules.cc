#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "access/label_policy.h"
#include "access/organisations.h"
#include "access/policy_rules_internal.h"
#include "access/query_policy.h"
#include "access/resource_policy.h"
#include "access/rows_internal.h"
#include "access/stacks.h"
#include "core/ip_network.h"

namespace gantry::access {
namespace {

constexpr std::size_t kScopesMax = 100;
constexpr std::size_t kRealmsMax = 100;
constexpr std::size_t kSubnetsMax = 100;
constexpr std::size_t kAttributesBytesMax = 16 << 10;

/// [a-z][a-z0-9-]*:[a-z-]+
bool has_scope_shape(std::string_view scope) {
  const std::size_t colon = scope.find(':');
  if (colon == std::string_view::npos || scope.size() > 255) return false;
  const std::string_view area = scope.substr(0, colon);
  const std::string_view act = scope.substr(colon + 1);
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !area.empty() && is_letter(area.front()) && !act.empty() &&
         std::ranges::all_of(
             area, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; }) &&
         std::ranges::all_of(act, [&](char c) { return is_letter(c) || c == '-'; });
}

/// The id behind an identifier of that realm type; null for what is not this organisation's.
ControlResult<std::optional<std::int64_t>> resolve_identifier(OrgId org, state::Transaction& tx,
                                                              Realm::Type type,
                                                              std::string_view identifier) {
  if (type == Realm::Type::Org) {
    GANTRY_TRY(const auto found, look_up_organisation(tx, identifier));
    if (!found || found->id != org) return std::nullopt;
    return org.value();
  }
  const auto stack = read_stack(org, tx, identifier);
  if (stack) return std::int64_t{stack->id.value()};
  if (stack.error().code == Code::NotFound) return std::nullopt;
  return std::unexpected(stack.error());
}

/// Canonical selectors; absent without any.
std::optional<std::vector<std::string>> canonical_selectors(
    std::vector<FieldProblem>& problems, const std::string& path,
    std::span<const std::string> selectors) {
  if (selectors.empty()) return std::nullopt;
  const auto policies = LabelPolicySet::parse(selectors);
  if (!policies) {
    problems.push_back({.path = path + ".labelPolicies", .reason = policies.error().message});
    return std::nullopt;
  }
  std::vector<std::string> texts;
  for (const LabelPolicy& policy : policies->policies()) texts.push_back(policy.text());
  return texts;
}

}  // namespace

void check_scopes(std::vector<FieldProblem>& problems, std::span<const std::string> scopes,
                  const ControlRules& rules) {
  if (scopes.empty()) problems.push_back({.path = "scopes", .reason = "must name a scope"});
  if (scopes.size() > kScopesMax)
    problems.push_back(
        {.path = "scopes", .reason = fmt::format("must be at most {} scopes", kScopesMax)});
  for (std::size_t i = 0; i < std::min(scopes.size(), kScopesMax); ++i) {
    const std::string path = fmt::format("scopes[{}]", i);
    if (!has_scope_shape(scopes[i]))
      problems.push_back({.path = path, .reason = "must look like metrics:read"});
    else if (!parse_scope(scopes[i]) && !rules.allow_unknown_scopes)
      problems.push_back({.path = path,
                          .reason = fmt::format("unknown scope \"{}\" (access.allow_unknown_scopes "
                                                "lets it pass, granting nothing)",
                                                scopes[i])});
  }
}

ControlResult<std::vector<Realm>> resolve_realms(OrgId org, state::Transaction& tx,
                                                 std::span<const RealmDraft> drafts) {
  std::vector<FieldProblem> problems;
  std::vector<Realm> realms;
  if (drafts.empty()) problems.push_back({.path = "realms", .reason = "must name a realm"});
  if (drafts.size() > kRealmsMax)
    return refuse_field("realms", fmt::format("must be at most {} realms", kRealmsMax));
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    const RealmDraft& draft = drafts[i];
    const std::string path = fmt::format("realms[{}]", i);
    if (draft.type != "org" && draft.type != "stack") {
      problems.push_back({.path = path + ".type", .reason = "must be \"org\" or \"stack\""});
      continue;
    }
    const Realm::Type type = draft.type == "org" ? Realm::Type::Org : Realm::Type::Stack;
    GANTRY_TRY(const auto id, resolve_identifier(org, tx, type, draft.identifier));
    if (!id) {
      problems.push_back(
          {.path = path + ".identifier",
           .reason = fmt::format("no {} has this id or slug",
                                 type == Realm::Type::Org ? "organisation" : "stack")});
      continue;
    }
    realms.push_back({.type = type,
                      .identifier = *id,
                      .label_policies = canonical_selectors(problems, path, draft.label_policies)});
  }
  if (!problems.empty()) return refuse_fields(std::move(problems));
  for (auto it = realms.begin(); it != realms.end(); ++it)
    if (std::any_of(realms.begin(), it, [&](const Realm& earlier) {
          return earlier.type == it->type && earlier.identifier == it->identifier;
        }))
      return refuse(Code::AlreadyExists, fmt::format("the realm {} {} is named twice",
                                                     realm_type_name(it->type), it->identifier));
  return realms;
}

std::vector<std::string> canonical_subnets(std::vector<FieldProblem>& problems,
                                           std::span<const std::string> subnets) {
  std::vector<std::string> texts;
  if (subnets.size() > kSubnetsMax) {
    problems.push_back({.path = "conditions.allowedSubnets",
                        .reason = fmt::format("must be at most {} ranges", kSubnetsMax)});
    return texts;
  }
  for (std::size_t i = 0; i < subnets.size(); ++i) {
    const auto subnet = core::IpNetwork::parse(subnets[i]);
    if (!subnet) {
      problems.push_back({.path = fmt::format("conditions.allowedSubnets[{}]", i),
                          .reason = subnet.error().message});
      continue;
    }
    std::string text = subnet->text();
    if (std::ranges::find(texts, text) == texts.end()) texts.push_back(std::move(text));
  }
  return texts;
}

void check_attributes(std::vector<FieldProblem>& problems, std::string_view attributes) {
  if (attributes.size() > kAttributesBytesMax) {
    problems.push_back({.path = "attributes",
                        .reason = fmt::format("must be at most {} bytes", kAttributesBytesMax)});
    return;
  }
  const auto json = nlohmann::json::parse(attributes, nullptr, false);
  if (!json.is_object()) {
    problems.push_back({.path = "attributes", .reason = "must be an object"});
    return;
  }
  if (const auto policy = parse_query_policy(attributes); !policy)
    problems.push_back({.path = "attributes.queryPolicy", .reason = policy.error().message});
  if (json.contains("acceptLabelPolicyHeader") && !json["acceptLabelPolicyHeader"].is_boolean())
    problems.push_back(
        {.path = "attributes.acceptLabelPolicyHeader", .reason = "must be true or false"});
}

ControlResult<void> check_combination(std::span<const std::string> scopes,
                                      std::span<const Realm> realms) {
  const bool has_label_policies = std::ranges::any_of(
      realms, [](const Realm& realm) { return realm.label_policies.has_value(); });
  if (!has_label_policies) return {};
  if (const auto checked = check_restricted_scopes(scopes); !checked)
    return std::unexpected(ControlError(Code::InvalidArgument, checked.error().message,
                                        {{.path = "scopes", .reason = checked.error().message}}));
  if (std::ranges::find(scopes, scope_name(Scope::TracesRead)) == scopes.end()) return {};
  for (std::size_t i = 0; i < realms.size(); ++i) {
    if (!realms[i].label_policies) continue;
    const auto policies = LabelPolicySet::parse(*realms[i].label_policies);
    if (!policies) continue;  // already told, or `[]`: shows nothing
    if (const auto checked = check_trace_policies(*policies); !checked)
      return std::unexpected(ControlError(Code::InvalidArgument, checked.error().message,
                                          {{.path = fmt::format("realms[{}].labelPolicies", i),
                                            .reason = checked.error().message}}));
  }
  return {};
}

}  // namespace gantry::access
