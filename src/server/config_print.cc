#include "server/config_print.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "gateway/gateway_setting_list.h"
#include "gateway/gateway_settings.h"
#include "server/settings.h"

namespace gantry::server {
namespace {

std::string_view section_of(std::string_view key) {
  const std::size_t dot = key.find('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

constexpr std::string_view kOidc = "oidc";

std::string_view leaf_of(std::string_view key) {
  return key.substr(key.find('.') + 1);  // npos + 1 is 0
}

/// A double-quoted YAML scalar.
std::string quote_yaml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      quoted += {'\\', c};
    else if (byte < 0x20 || byte == 0x7f)
      quoted += fmt::format("\\x{:02x}", byte);
    else
      quoted += c;
  }
  return quoted + "\"";
}

/// https://user:password@host becomes https://****@host.
std::string mask_userinfo(std::string text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string::npos) return text;
  const std::size_t start = scheme + 3;
  const std::size_t at = text.find('@', start);
  if (at == std::string::npos || text.find('/', start) < at) return text;
  return text.replace(start, at - start, "****");
}

/// As it may be shown.
std::string shown_value(const Config& config, const Setting& setting) {
  std::string value = format_value(config, setting);
  if (setting.kind == SettingKind::Secret) return value.empty() ? "" : "****";
  return mask_userinfo(std::move(value));
}

std::string yaml_value(const Config& config, const Setting& setting) {
  if (setting.kind == SettingKind::Secret) return quote_yaml(shown_value(config, setting));
  std::string value = format_value(config, setting);
  if (setting.kind == SettingKind::Text) return quote_yaml(mask_userinfo(std::move(value)));
  if (setting.kind != SettingKind::List) return value;
  if (value.empty()) return "[]";
  std::string items;
  std::string_view rest = value;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    items += (items.empty() ? "" : ", ") + quote_yaml(rest.substr(0, comma));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return fmt::format("[{}]", items);
}

std::string type_text(const Setting& setting) {
  switch (setting.kind) {
    case SettingKind::Text:
      return "text";
    case SettingKind::Switch:
      return "true or false";
    case SettingKind::Count:
      return "whole number";
    case SettingKind::Bytes:
      return "size (bytes)";
    case SettingKind::Duration:
      return "duration";
    case SettingKind::Choice:
      return fmt::format("`{}`", fmt::join(choice_words(setting), "`, `"));
    case SettingKind::Secret:
      return "text, never shown";
    case SettingKind::List:
      return "list of text";
  }
  return {};
}

std::string default_text(const Config& defaults, const Setting& setting) {
  const std::string value = format_value(defaults, setting);
  return value.empty() ? "empty" : fmt::format("`{}`", value);
}

/// The list oidc.providers, inside its section.
std::string providers_yaml(const Config& config) {
  std::string yaml;
  for (const Config::Oidc& provider : config.oidc_providers) {
    Config one;
    one.oidc = provider;
    std::string_view indent = "    - ";
    for (const Setting& setting : settings()) {
      if (section_of(setting.key) != kOidc) continue;
      yaml += fmt::format("{}{}: {}\n", indent, leaf_of(setting.key), yaml_value(one, setting));
      indent = "      ";
    }
  }
  return yaml.empty() ? yaml : "  providers:\n" + yaml;
}

/// Headers of providers may be credentials; and what is no reference to a secret may be the secret.
bool is_masked_item(const gateway::SettingNode& item) {
  constexpr std::array<std::string_view, 3> kReferences = {"env:", "file:", "sealed:"};
  if (item.key == "headers") return item.kind == gateway::SettingNode::Kind::Map;
  return item.key == "secret" && std::ranges::none_of(kReferences, [&](std::string_view kind) {
           return item.text.starts_with(kind);
         });
}

std::string flow_yaml(const gateway::SettingNode& node, bool is_masked) {
  using Kind = gateway::SettingNode::Kind;
  std::string items;
  for (const gateway::SettingNode& item : node.items) {
    if (!items.empty()) items += ", ";
    if (node.kind == Kind::Map) items += quote_yaml(item.key) + ": ";
    items += flow_yaml(item, is_masked || is_masked_item(item));
  }
  switch (node.kind) {
    case Kind::Null:
      return "null";
    case Kind::Scalar:
      return quote_yaml(is_masked ? "****" : mask_userinfo(node.text));
    case Kind::List:
      return fmt::format("[{}]", items);
    case Kind::Map:
      return fmt::format("{{{}}}", items);
  }
  std::unreachable();
}

/// Single values as they count, the lists as they are written.
std::string gateway_yaml(const gateway::SettingNode& section) {
  gateway::GatewaySettings settings;
  if (section.kind != gateway::SettingNode::Kind::Null) {
    auto read = gateway::read_gateway_settings(section);
    if (!read) return fmt::format("gateway: {}\n", flow_yaml(section, false));
    settings = *std::move(read);
  }
  std::string yaml = "gateway:\n";
  for (const gateway::GatewaySetting& setting : gateway::gateway_setting_list()) {
    const std::string value = setting.format(settings);
    if (!value.empty()) yaml += fmt::format("  {}: {}\n", setting.key, quote_yaml(value));
  }
  for (const gateway::SettingNode& list : section.items) {
    if (list.kind != gateway::SettingNode::Kind::List) continue;
    yaml += fmt::format("  {}:\n", list.key);
    for (const gateway::SettingNode& item : list.items)
      yaml += fmt::format("    - {}\n", flow_yaml(item, false));
  }
  return yaml;
}

constexpr std::string_view kGatewayText = R"(
## gateway

In the YAML file only. A `SIGHUP` reads `providers`, `models`, `tokenizers` and the settings marked so again; calls under way keep what
they began with.

| key | default | type | reload | meaning |
| --- | --- | --- | --- | --- |
)";

constexpr std::string_view kGatewayListsText = R"(
`gateway.providers` and `gateway.models` are lists of maps: [their keys](llm-gateway.md#providers-and-models). So is
`gateway.tokenizers`: [its keys](llm-gateway.md#tokens).
)";

std::string gateway_markdown() {
  const gateway::GatewaySettings defaults;
  std::string markdown(kGatewayText);
  for (const gateway::GatewaySetting& setting : gateway::gateway_setting_list()) {
    const std::string value = setting.format(defaults);
    markdown +=
        fmt::format("| `gateway.{}` | {} | {} | {} | {} |\n", setting.key,
                    value.empty() ? "none" : fmt::format("`{}`", value), setting.type,
                    gateway::is_reloadable_setting(setting.key) ? "yes" : "no", setting.help);
  }
  return markdown.append(kGatewayListsText);
}

constexpr std::string_view kProvidersText = R"(
`oidc.providers`, in the YAML file only, is a list of further providers: maps with the keys above without `oidc.`, each with a
`name` of its own. The sign-in page has a button for each.
)";

constexpr std::string_view kIntroduction = R"(# Configuration

<!-- Generated from src/server/settings.cc. GANTRY_UPDATE_GOLDEN=1 on server_test rewrites it. -->

`gantry serve --data DIR` runs without any configuration. A setting can come from four places; a later
one wins:

1. the default below,
2. the YAML file given with `--config FILE`,
3. the environment: `GANTRY_` and the key in capitals with `_` for `.`, so `limits.active_series_max` is
   `GANTRY_LIMITS_ACTIVE_SERIES_MAX`,
4. flags: `--data`, `--listen`, `--otlp-http`, `--otlp-grpc`, and `--set KEY=VALUE` for any key.

```yaml
server:
  listen: 127.0.0.1:9490
storage:
  retention: 30d
limits:
  active_series_max: 5000000
```

An unknown key, a value of the wrong type and a key given twice are errors that name the file, the line
and the nearest known key. `gantry check-config` takes the same flags as `serve`, checks everything and
prints the effective configuration.

Durations are written `1h30m`, `15s` or `500ms` (units `y w d h m s ms`); sizes `64MiB`, `10MB` or
`4096` (powers of 1024 with an `i`, of 1000 without).

On `SIGHUP` the file and the environment are read again. Settings marked "yes" under *reload* change at
once; a change of any other is reported in the log and needs a restart. Certificate files are read again
in any case. A configuration with an error changes nothing.
)";

}  // namespace

std::string format_config_yaml(const Config& config) {
  std::string yaml;
  std::string_view section;
  for (const Setting& setting : settings()) {
    if (section_of(setting.key) != section) {
      if (section == kOidc) yaml += providers_yaml(config);
      section = section_of(setting.key);
      yaml += fmt::format("{}:\n", section);
    }
    yaml += fmt::format("{}{}: {}\n", section.empty() ? "" : "  ", leaf_of(setting.key),
                        yaml_value(config, setting));
  }
  return yaml + gateway_yaml(config.gateway);
}

std::vector<std::pair<std::string, std::string>> list_config(const Config& config) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const Setting& setting : settings())
    list.emplace_back(setting.key, shown_value(config, setting));
  for (const Config::Oidc& provider : config.oidc_providers) {
    Config one;
    one.oidc = provider;
    for (const Setting& setting : settings())
      if (section_of(setting.key) == kOidc)
        list.emplace_back(fmt::format("oidc.providers.{}.{}", provider.name, leaf_of(setting.key)),
                          shown_value(one, setting));
  }
  return list;
}

std::string format_settings_markdown() {
  const Config defaults;
  std::string markdown(kIntroduction);
  std::string_view section = "none yet";
  for (const Setting& setting : settings()) {
    if (section_of(setting.key) != section) {
      if (section == kOidc) markdown += kProvidersText;
      section = section_of(setting.key);
      markdown += fmt::format(
          "\n## {}\n\n| key | default | type | reload | meaning |\n| --- | --- | --- | --- | --- "
          "|\n",
          section.empty() ? "General" : section);
    }
    markdown +=
        fmt::format("| `{}` | {} | {} | {} | {} |\n", setting.key, default_text(defaults, setting),
                    type_text(setting), setting.is_reloadable ? "yes" : "no", setting.help);
  }
  return markdown + gateway_markdown();
}

}  // namespace gantry::server
