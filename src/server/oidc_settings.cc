#include "server/oidc_settings.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "access/token.h"
#include "net/egress_url.h"
#include "storage/file.h"

namespace gantry::server {
namespace {

constexpr std::uint64_t kSecretBytesMax = 4096;

std::unexpected<Error> refuse(std::string_view key, std::string_view what) {
  return fail(Code::InvalidArgument, fmt::format("{}: {}", key, what));
}

Result<std::string> read_client_secret(const Config& config) {
  const std::string& path = config.oidc.client_secret_file;
  if (path.empty()) return config.oidc.client_secret;
  if (!config.oidc.client_secret.empty())
    return refuse("oidc.client_secret_file", "oidc.client_secret is set too");
  storage::PosixFileSystem files;
  const auto bytes = storage::read_file(files, path, kSecretBytesMax);
  if (!bytes) return refuse("oidc.client_secret_file", bytes.error().message);
  std::string secret(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  return secret;
}

}  // namespace

Result<std::optional<access::OidcSettings>> make_oidc_settings(const Config& config) {
  const Config::Oidc& oidc = config.oidc;
  if (oidc.issuer.empty()) return std::nullopt;
  if (const auto url = net::parse_egress_url(oidc.issuer); !url)
    return refuse("oidc.issuer", url.error().message);
  if (oidc.client_id.empty()) return refuse("oidc.client_id", "needed with oidc.issuer");
  if (!access::is_token_name(oidc.name) || oidc.name == "password")
    return refuse("oidc.name", "not made of a-z, 0-9 and -, or \"password\"");
  if (config.server.public_url.empty() && !config.server.insecure_dev)
    return refuse("server.public_url", "needed with oidc.issuer: the provider sends people there");
  if (!oidc.groups_claim.starts_with('/'))
    return refuse("oidc.groups_claim", "not a JSON pointer such as /groups");
  access::OidcSettings settings{.name = oidc.name,
                                .display_name = oidc.display_name,
                                .issuer = oidc.issuer,
                                .client_id = oidc.client_id,
                                .authentication = oidc.client_authentication,
                                .scopes = oidc.scopes,
                                .groups_claim = oidc.groups_claim,
                                .is_strict = oidc.role_strict,
                                .super_admin_group = oidc.super_admin_group,
                                .links_by_email = oidc.link_by_email};
  if (std::ranges::find(settings.scopes, "openid") == settings.scopes.end())
    return refuse("oidc.scopes", "openid is missing");
  for (const std::string& text : oidc.group_rules) {
    auto rule = access::parse_group_rule(text);
    if (!rule) return refuse("oidc.group_rules", rule.error().message);
    settings.rules.push_back(*std::move(rule));
  }
  GANTRY_TRY(settings.client_secret, read_client_secret(config));
  return settings;
}

}  // namespace gantry::server
