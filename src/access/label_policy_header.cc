#include "access/label_policy_header.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "access/label_policy.h"

namespace gantry::access {
namespace {

constexpr std::string_view kMalformed = "malformed X-Prom-Label-Policy header";

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// As in a path: '+' stands for itself.
std::optional<std::string> decode_percent(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

/// The attribute must be the boolean: whoever wrote "true" in quotes gets an error, not a header
/// that nobody looks at.
AccessResult<bool> accepts_header(std::string_view attributes) {
  const auto json = nlohmann::json::parse(attributes, nullptr, false);
  if (!json.is_object())
    return std::unexpected(bad_credentials(kMalformed, "label_policy_attributes"));
  const auto found = json.find("acceptLabelPolicyHeader");
  if (found == json.end()) return false;
  if (!found->is_boolean())
    return std::unexpected(bad_credentials(kMalformed, "label_policy_attributes"));
  return found->get<bool>();
}

/// Adds the selectors of one header value. False: it cannot be read.
bool read_value(std::string_view value, std::string_view tenant,
                std::vector<std::string>& selectors) {
  while (true) {
    const std::size_t comma = value.find(',');
    const std::string_view item = trim(value.substr(0, comma));
    const std::size_t colon = item.find(':');
    if (colon == std::string_view::npos || item.substr(0, colon) != tenant) return false;
    auto selector = decode_percent(item.substr(colon + 1));
    if (!selector) return false;
    selectors.push_back(*std::move(selector));
    if (comma == std::string_view::npos) return true;
    value.remove_prefix(comma + 1);
  }
}

}  // namespace

AccessResult<Visibility> narrow_by_header(const Visibility& own, std::string_view attributes,
                                          StackId stack, std::span<const std::string> values) {
  if (values.empty()) return own;
  GANTRY_TRY(const bool is_accepted, accepts_header(attributes));
  if (!is_accepted) return own;
  std::vector<std::string> selectors;
  const std::string tenant = fmt::format("{}", stack.value());
  for (const std::string& value : values) {
    if (!read_value(value, tenant, selectors))
      return std::unexpected(bad_credentials(kMalformed, "label_policy_header"));
  }
  auto policies = LabelPolicySet::parse(selectors);
  if (!policies) return std::unexpected(bad_credentials(kMalformed, "label_policy_header"));
  if (!own.is_everything()) policies = LabelPolicySet::intersection(*own.policies(), *policies);
  return Visibility::only(std::make_shared<const LabelPolicySet>(*std::move(policies)));
}

}  // namespace gantry::access
