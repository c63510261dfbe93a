#include <algorithm>
#include <exception>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "server/config_load.h"
#include "server/settings.h"

namespace gantry::server {
namespace {

constexpr std::size_t kYamlBytesMax = 1 << 20;
constexpr std::string_view kProviders = "oidc.providers";
constexpr std::string_view kGateway = "gateway";

/// Of the section gateway. Aliases can make a small file deep, or large without end.
constexpr int kDepthMax = 16;
constexpr std::size_t kNodesMax = 200'000;

/// Walks the document beside the table of settings.
class YamlReader {
 public:
  YamlReader(Config& config, std::string_view name) : config_(config), name_(name) {}

  /// `path` is "" or "storage".
  Result<void> read_section(const YAML::Node& node, std::string_view path) {
    if (node.IsNull() && path.empty()) return {};  // an empty file
    if (!node.IsMap())
      return fail_at(
          node, path,
          path.empty() ? "the file must be a map of sections" : "must be a map of settings");
    std::set<std::string, std::less<>> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return fail_at(entry.first, path, "a key must be a word");
      const std::string& word = entry.first.Scalar();
      if (!seen.insert(word).second)
        return fail_at(entry.first, path, fmt::format("key \"{}\" is there twice", word));
      GANTRY_CHECK(read_entry(entry.first, entry.second, path));
    }
    return {};
  }

 private:
  Result<void> read_entry(const YAML::Node& key, const YAML::Node& value, std::string_view path) {
    const std::string full = path.empty() ? key.Scalar() : fmt::format("{}.{}", path, key.Scalar());
    if (full == kProviders) return read_providers(value);
    if (full == kGateway) return read_gateway(value);
    if (const Setting* const setting = find_setting(full)) return read_value(*setting, key, value);
    const std::string prefix = full + ".";
    const bool is_section = std::ranges::any_of(
        settings(), [&](const Setting& setting) { return setting.key.starts_with(prefix); });
    if (is_section) return read_section(value, full);
    return unknown_key(key, path);
  }

  Result<void> read_value(const Setting& setting, const YAML::Node& key, const YAML::Node& value) {
    if (value.IsNull()) return fail_at(key, setting.key, "has no value");
    if (setting.kind == SettingKind::List) return read_list(setting, value);
    if (!value.IsScalar()) return fail_at(value, setting.key, "must be a single value");
    return assign_at(setting, value, value.Scalar());
  }

  /// Maps with the keys of the section oidc.
  Result<void> read_providers(const YAML::Node& value) {
    if (!value.IsSequence()) return fail_at(value, kProviders, "must be a list");
    for (const auto& item : value) {
      Config one;
      YamlReader reader(one, name_);
      GANTRY_CHECK(reader.read_section(item, "oidc"));
      if (!one.oidc_providers.empty())
        return fail_at(item, kProviders, "a provider has no providers of its own");
      config_.oidc_providers.push_back(std::move(one.oidc));
    }
    return {};
  }

  /// What its keys mean is not known here.
  Result<void> read_gateway(const YAML::Node& value) {
    std::size_t nodes_left = kNodesMax;
    config_.gateway = {};
    return copy_node(value, 0, nodes_left, config_.gateway);
  }

  Result<void> copy_node(const YAML::Node& value, int depth, std::size_t& nodes_left,
                         gateway::SettingNode& out) const {
    if (depth > kDepthMax || nodes_left == 0)
      return fail_at(value, kGateway, "nested too deeply, or too large");
    --nodes_left;
    const YAML::Mark mark = value.Mark();
    out.place = fmt::format("{}:{}:{}", name_, mark.line + 1, mark.column + 1);
    using Kind = gateway::SettingNode::Kind;
    if (value.IsScalar()) {
      out.kind = Kind::Scalar;
      out.text = value.Scalar();
    } else if (value.IsSequence()) {
      out.kind = Kind::List;
      for (const auto& item : value)
        GANTRY_CHECK(copy_node(item, depth + 1, nodes_left, out.items.emplace_back()));
    } else if (value.IsMap()) {
      out.kind = Kind::Map;
      for (const auto& entry : value) {
        if (!entry.first.IsScalar()) return fail_at(entry.first, kGateway, "a key must be a word");
        gateway::SettingNode& item = out.items.emplace_back();
        item.key = entry.first.Scalar();
        GANTRY_CHECK(copy_node(entry.second, depth + 1, nodes_left, item));
      }
    }
    return {};
  }

  Result<void> read_list(const Setting& setting, const YAML::Node& value) {
    if (!value.IsSequence()) return fail_at(value, setting.key, "must be a list");
    std::string joined;
    for (const auto& item : value) {
      if (!item.IsScalar() || item.Scalar().contains(','))
        return fail_at(item, setting.key, "must be a list of words without commas");
      joined += item.Scalar() + ",";
    }
    return assign_at(setting, value, joined);
  }

  Result<void> assign_at(const Setting& setting, const YAML::Node& value, std::string_view text) {
    if (const auto assigned = assign(config_, setting, text); !assigned)
      return fail_at(value, setting.key, assigned.error().message);
    return {};
  }

  Result<void> unknown_key(const YAML::Node& key, std::string_view path) {
    const std::string prefix = path.empty() ? "" : fmt::format("{}.", path);
    std::vector<std::string_view> candidates;  // the words that may stand here
    for (const Setting& setting : settings()) {
      if (!setting.key.starts_with(prefix)) continue;
      const std::string_view rest = setting.key.substr(prefix.size());
      candidates.push_back(rest.substr(0, rest.find('.')));
    }
    const std::string_view nearest = nearest_word(key.Scalar(), candidates);
    std::string message = fmt::format("unknown key \"{}\"", key.Scalar());
    if (!nearest.empty()) message += fmt::format(", did you mean \"{}\"?", nearest);
    return fail_at(key, path, message);
  }

  std::unexpected<Error> fail_at(const YAML::Node& node, std::string_view path,
                                 std::string_view message) const {
    const YAML::Mark mark = node.Mark();  // counts from 0
    return fail(Code::InvalidArgument,
                fmt::format("{}:{}:{}: {}{}{}", name_, mark.line + 1, mark.column + 1, path,
                            path.empty() ? "" : ": ", message));
  }

  Config& config_;
  std::string_view name_;
};

/// Listens to nothing.
class IgnoreEvents final : public YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark&) override {}

  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}

  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}

  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}

  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}

  void OnSequenceEnd() override {}

  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}

  void OnMapEnd() override {}
};

/// Not by YAML::LoadAll: of some malformed texts (",") it makes documents without end.
bool has_several_documents(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  IgnoreEvents ignore;
  return parser.HandleNextDocument(ignore) && parser.HandleNextDocument(ignore);
}

}  // namespace

Result<void> apply_yaml(Config& config, std::string_view text, std::string_view name) {
  if (text.size() > kYamlBytesMax)
    return fail(Code::TooLarge, fmt::format("{}: larger than 1 MiB", name));
  try {
    const std::string copy(text);
    if (has_several_documents(copy))
      return fail(Code::InvalidArgument, fmt::format("{}: must be one YAML document", name));
    return YamlReader(config, name).read_section(YAML::Load(copy), "");
  } catch (const YAML::Exception& error) {
    return fail(Code::InvalidArgument, fmt::format("{}:{}:{}: {}", name, error.mark.line + 1,
                                                   error.mark.column + 1, error.msg));
  } catch (const std::exception& error) {
    return fail(Code::InvalidArgument, fmt::format("{}: {}", name, error.what()));
  }
}

}  // namespace gantry::server
