#include "server/config_load.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>

#include <fmt/core.h>
#include <unistd.h>

#include "access/secrets/keyring_source.h"
#include "access/token.h"
#include "gateway/gateway_settings.h"
#include "net/egress.h"
#include "net/server.h"
#include "server/oidc_settings.h"
#include "server/settings.h"
#include "state/db.h"
#include "storage/file.h"
#include "telemetry/labels.h"

namespace gantry::server {
namespace {

constexpr std::uint64_t kFileBytesMax = 1 << 20;
constexpr std::string_view kVariablePrefix = "GANTRY_";

Result<void> apply_file(Config& config, const std::filesystem::path& path) {
  storage::PosixFileSystem files;
  GANTRY_TRY(const std::vector<std::byte> bytes, storage::read_file(files, path, kFileBytesMax));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return apply_yaml(config, text, path.string());
}

/// A variable close to a setting's is a typing error; any other GANTRY_… variable may be somebody
/// else's (Kubernetes makes GANTRY_PORT for a service named gantry) and is only reported.
Result<void> apply_environment(LoadedConfig& loaded, const ConfigSources& sources) {
  std::vector<std::string> names;
  for (const Setting& setting : settings()) names.push_back(environment_name(setting));
  std::vector<std::string_view> candidates;
  candidates.reserve(names.size());
  for (const std::string& name : names)
    candidates.push_back(std::string_view(name).substr(kVariablePrefix.size()));
  for (const auto& [name, value] : sources.environment) {
    if (!name.starts_with(kVariablePrefix) || name == access::kMasterKeyVariable) continue;
    const auto found = std::ranges::find(names, name);
    if (found != names.end()) {
      const Setting& setting = settings()[static_cast<std::size_t>(found - names.begin())];
      if (const auto assigned = assign(loaded.config, setting, value); !assigned)
        return fail(Code::InvalidArgument, fmt::format("{}: {}", name, assigned.error().message));
      continue;
    }
    const std::string_view word = std::string_view(name).substr(kVariablePrefix.size());
    if (const std::string_view nearest = nearest_word(word, candidates); !nearest.empty())
      return fail(Code::InvalidArgument, fmt::format("{}: unknown setting, did you mean \"{}{}\"?",
                                                     name, kVariablePrefix, nearest));
    loaded.warnings.push_back(fmt::format("{} is not a setting, it was ignored", name));
  }
  return {};
}

Result<void> apply_flags(Config& config, std::span<const FlagValue> flags) {
  std::vector<std::string_view> keys;
  for (const Setting& setting : settings()) keys.push_back(setting.key);
  for (const FlagValue& flag : flags) {
    const Setting* const setting = find_setting(flag.key);
    if (setting == nullptr) {
      const std::string_view nearest = nearest_word(flag.key, keys);
      return fail(Code::InvalidArgument,
                  fmt::format("{}: unknown key \"{}\"{}", flag.flag, flag.key,
                              nearest.empty() ? std::string()
                                              : fmt::format(", did you mean \"{}\"?", nearest)));
    }
    if (const auto assigned = assign(config, *setting, flag.value); !assigned)
      return fail(Code::InvalidArgument,
                  fmt::format("{}: {}: {}", flag.flag, flag.key, assigned.error().message));
  }
  return {};
}

Result<void> check_address(std::string_view key, std::string_view address, bool may_be_empty) {
  if (address.empty() && may_be_empty) return {};
  if (const auto parsed = net::parse_listen_address(address); !parsed)
    return fail(Code::InvalidArgument, fmt::format("{}: {}", key, parsed.error().message));
  return {};
}

Result<void> check_label(std::string_view key, std::string_view name) {
  const bool is_usable =
      telemetry::is_legacy_label_name(name) && name != telemetry::kMetricNameLabel;
  if (name.empty() || is_usable) return {};
  return fail(Code::InvalidArgument,
              fmt::format("{}: \"{}\" cannot be the name of such a label", key, name));
}

}  // namespace

Result<void> validate(const Config& config) {
  GANTRY_CHECK(check_address("server.listen", config.server.listen, false));
  GANTRY_CHECK(check_address("otlp.http_listen", config.otlp.http_listen, true));
  GANTRY_CHECK(check_address("otlp.grpc_listen", config.otlp.grpc_listen, true));
  if (config.tls.cert_file.empty() != config.tls.key_file.empty())
    return fail(Code::InvalidArgument,
                "tls.cert_file and tls.key_file: set both for TLS, or neither");
  const std::string& url = config.server.public_url;
  if (!url.empty() && ((!url.starts_with("http://") && !url.starts_with("https://")) ||
                       url.ends_with('/') || url.find_first_of("?# ") != std::string::npos))
    return fail(Code::InvalidArgument,
                fmt::format("server.public_url: \"{}\" is not an http or https URL without a "
                            "trailing slash, a query or a fragment",
                            url));
  GANTRY_TRY(const net::ListenAddress listen, net::parse_listen_address(config.server.listen));
  if (config.server.insecure_dev && !listen.host.starts_with("127.") && listen.host != "::1")
    return fail(Code::InvalidArgument,
                fmt::format("server.insecure_dev: server.listen must be on a loopback address such "
                            "as 127.0.0.1:9490, it is \"{}\"",
                            config.server.listen));
  if (!access::is_token_name(config.server.zone) || config.server.zone.size() > 40)
    return fail(Code::InvalidArgument,
                fmt::format("server.zone: \"{}\" is not 1 to 40 characters of a-z, 0-9 and -",
                            config.server.zone));
  if (!config.state.url.empty()) GANTRY_CHECK(state::Db::check_url(config.state.url));
  GANTRY_CHECK(check_label("influx.database_label", config.influx.database_label));
  GANTRY_CHECK(check_label("influx.source_label", config.influx.source_label));
  GANTRY_TRY(const auto oidc, make_oidc_settings(config));
  static_cast<void>(oidc);
  if (config.gateway.kind != gateway::SettingNode::Kind::Null) {
    if (const auto gateway = gateway::read_gateway_settings(config.gateway); !gateway)
      return std::unexpected(gateway.error());
  }
  if (const auto egress = net::Egress::make({.allow = config.egress.allow}); !egress)
    return fail(Code::InvalidArgument, fmt::format("egress.allow: {}", egress.error().message));
  if (config.http.body_decompressed_bytes_max < config.http.body_bytes_max)
    return fail(Code::InvalidArgument,
                "http.body_decompressed_bytes_max: must not be less than http.body_bytes_max");
  if (config.disk_free_resume != 0 && config.disk_free_resume < config.disk_free_min)
    return fail(Code::InvalidArgument,
                "storage.disk_free_resume: must not be less than storage.disk_free_min");
  return {};
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  LoadedConfig loaded;
  if (sources.file) GANTRY_CHECK(apply_file(loaded.config, *sources.file));
  GANTRY_CHECK(apply_environment(loaded, sources));
  GANTRY_CHECK(apply_flags(loaded.config, sources.flags));
  GANTRY_CHECK(validate(loaded.config));
  return loaded;
}

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

}  // namespace gantry::server
