#include "server/oidc_settings.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "access/token.h"
#include "net/egress_url.h"
#include "storage/file.h"

namespace gantry::server {
namespace {

constexpr std::uint64_t kFileBytesMax = 16 << 10;

/// One provider of the configuration, and how its settings are called in errors.
class Provider {
 public:
  Provider(const Config& config, const Config::Oidc& oidc, std::string prefix)
      : config_(config), oidc_(oidc), prefix_(std::move(prefix)) {}

  [[nodiscard]] Result<access::OidcSettings> read() const {
    GANTRY_CHECK(check());
    access::OidcSettings settings{.name = oidc_.name,
                                  .display_name = oidc_.display_name,
                                  .issuer = oidc_.issuer,
                                  .client_id = oidc_.client_id,
                                  .authentication = oidc_.client_authentication,
                                  .scopes = oidc_.scopes,
                                  .groups_claim = oidc_.groups_claim,
                                  .is_strict = oidc_.role_strict,
                                  .super_admin_group = oidc_.super_admin_group,
                                  .links_by_email = oidc_.link_by_email};
    for (const std::string& text : oidc_.group_rules) {
      auto rule = access::parse_group_rule(text);
      if (!rule) return refuse("group_rules", rule.error().message);
      settings.rules.push_back(*std::move(rule));
    }
    GANTRY_TRY(settings.client_secret, read_client_secret());
    GANTRY_TRY(settings.client_key, read_client_key());
    return settings;
  }

 private:
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view key, std::string_view what) const {
    return fail(Code::InvalidArgument, fmt::format("{}{}: {}", prefix_, key, what));
  }

  [[nodiscard]] Result<void> check() const {
    if (const auto url = net::parse_egress_url(oidc_.issuer); !url)
      return refuse("issuer", url.error().message);
    if (oidc_.client_id.empty())
      return refuse("client_id", fmt::format("needed with {}issuer", prefix_));
    if (!access::is_token_name(oidc_.name) || oidc_.name == "password")
      return refuse("name", "not made of a-z, 0-9 and -, or \"password\"");
    if (config_.server.public_url.empty() && !config_.server.insecure_dev)
      return fail(Code::InvalidArgument,
                  fmt::format("server.public_url: needed with {}issuer: the provider sends people "
                              "there",
                              prefix_));
    if (!oidc_.groups_claim.starts_with('/'))
      return refuse("groups_claim", "not a JSON pointer such as /groups");
    if (std::ranges::find(oidc_.scopes, "openid") == oidc_.scopes.end())
      return refuse("scopes", "openid is missing");
    return {};
  }

  [[nodiscard]] Result<std::string> read_text(std::string_view key, const std::string& path) const {
    storage::PosixFileSystem files;
    const auto bytes = storage::read_file(files, path, kFileBytesMax);
    if (!bytes) return refuse(key, bytes.error().message);
    return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }

  [[nodiscard]] Result<std::string> read_client_secret() const {
    if (oidc_.client_secret_file.empty()) return oidc_.client_secret;
    if (!oidc_.client_secret.empty())
      return refuse("client_secret_file", fmt::format("{}client_secret is set too", prefix_));
    GANTRY_TRY(std::string secret, read_text("client_secret_file", oidc_.client_secret_file));
    while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
    return secret;
  }

  [[nodiscard]] Result<std::shared_ptr<const access::ClientKey>> read_client_key() const {
    const bool is_needed =
        oidc_.client_authentication == access::ClientAuthentication::PrivateKeyJwt;
    if (oidc_.client_key_file.empty() != !is_needed)
      return refuse("client_key_file",
                    fmt::format("goes with {}client_authentication: private_key_jwt", prefix_));
    if (!is_needed) return nullptr;
    GANTRY_TRY(const std::string pem, read_text("client_key_file", oidc_.client_key_file));
    auto key = access::ClientKey::parse(pem, oidc_.client_key_id);
    if (!key) return refuse("client_key_file", key.error().message);
    return *std::move(key);
  }

  const Config& config_;
  const Config::Oidc& oidc_;
  std::string prefix_;
};

}  // namespace

Result<std::vector<access::OidcSettings>> make_oidc_settings(const Config& config) {
  std::vector<access::OidcSettings> all;
  const auto add = [&](const Config::Oidc& oidc, std::string prefix) -> Result<void> {
    GANTRY_TRY(access::OidcSettings settings, Provider(config, oidc, prefix).read());
    if (std::ranges::find(all, settings.name, &access::OidcSettings::name) != all.end())
      return fail(
          Code::InvalidArgument,
          fmt::format("{}name: \"{}\" is the name of another provider too", prefix, settings.name));
    all.push_back(std::move(settings));
    return {};
  };
  if (!config.oidc.issuer.empty()) GANTRY_CHECK(add(config.oidc, "oidc."));
  for (std::size_t i = 0; i < config.oidc_providers.size(); ++i)
    GANTRY_CHECK(add(config.oidc_providers[i], fmt::format("oidc.providers[{}].", i)));
  return all;
}

}  // namespace gantry::server
