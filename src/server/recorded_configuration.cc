#include "server/recorded_configuration.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "server/settings.h"

namespace gantry::server {
namespace {

constexpr std::string_view kSection = "oidc.";
constexpr std::array<std::string_view, 4> kRoleMapping = {"group_rules", "groups_claim",
                                                          "role_strict", "super_admin_group"};

/// The configuration and the rules of one provider.
std::pair<access::RecordedSettings, access::RecordedSettings> record_provider(
    const Config::Oidc& provider, const access::OidcSettings& settings) {
  const access::AuditTarget target{
      .type = "provider", .id = provider.name, .name = provider.display_name};
  std::pair<access::RecordedSettings, access::RecordedSettings> pair;
  auto& [connection, mapping] = pair;
  connection.name = "oidc/" + provider.name;
  connection.event = "oidc.config_changed";
  connection.target = target;
  mapping.name = "role_mapping/" + provider.name;
  mapping.event = "role_mapping.changed";
  mapping.target = target;
  Config one;
  one.oidc = provider;
  for (const Setting& setting : server::settings()) {
    if (!setting.key.starts_with(kSection) || setting.kind == SettingKind::Secret) continue;
    const std::string_view leaf = setting.key.substr(kSection.size());
    const bool is_mapping = std::ranges::find(kRoleMapping, leaf) != kRoleMapping.end();
    (is_mapping ? mapping : connection).values[std::string(leaf)] = format_value(one, setting);
  }
  // Wherever it comes from.
  connection.secrets["client_secret"] = settings.client_secret;
  return pair;
}

}  // namespace

std::vector<access::RecordedSettings> recorded_configuration(
    const Config& config, std::span<const access::OidcSettings> oidc, std::int64_t pepper_id) {
  std::vector<access::RecordedSettings> all;
  const auto add = [&](const Config::Oidc& provider, const access::OidcSettings& settings) {
    auto [connection, mapping] = record_provider(provider, settings);
    all.push_back(std::move(connection));
    all.push_back(std::move(mapping));
  };
  const std::size_t of_section = config.oidc.issuer.empty() ? 0 : 1;
  GANTRY_ASSERT(oidc.size() == of_section + config.oidc_providers.size(),
                "the settings are those of this configuration");
  if (of_section == 1) add(config.oidc, oidc[0]);
  for (std::size_t i = 0; i < config.oidc_providers.size(); ++i)
    add(config.oidc_providers[i], oidc[of_section + i]);
  all.push_back({.name = "egress",
                 .event = "egress.allowlist_changed",
                 .target = {.type = "setting", .name = "egress.allow"},
                 .values = {{"allow", fmt::format("{}", fmt::join(config.egress.allow, ","))}}});
  all.push_back({.name = "keyring",
                 .event = "keyring.rotated",
                 .target = {.type = "file", .name = "secret.key"},
                 .values = {{"pepper", std::to_string(pepper_id)}},
                 .reports_first = false});
  return all;
}

}  // namespace gantry::server
