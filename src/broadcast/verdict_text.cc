#include <algorithm>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "broadcast/verdict_internal.h"
#include "codec/otlp_attributes.h"
#include "core/utf8.h"

namespace gantry::broadcast {
namespace {

/// A shorter secret cannot be told from other text: an answer that contains it is not quoted.
constexpr std::size_t kRedactedBytesMin = 4;

/// What of the destination may never be quoted, longest first: whole values, their last word
/// ("Bearer <x>"), and what goes over the wire for them.
std::vector<std::string> secrets_of(const DestinationConfig& config) {
  std::vector<std::string> secrets;
  if (!config.secret.empty()) {
    secrets.push_back(config.secret);
    codec::append_base64(secrets.emplace_back(),
                         fmt::format("{}:{}", config.instance_id, config.secret));
  }
  for (const auto& [name, value] : config.headers) {
    if (value.empty()) continue;
    secrets.push_back(value);
    if (const std::size_t space = value.rfind(' ');
        space != std::string::npos && space + 1 < value.size())
      secrets.push_back(value.substr(space + 1));
  }
  for (std::string& secret : secrets) secret = one_line(secret, std::string::npos);
  std::ranges::sort(secrets, std::greater{}, &std::string::size);
  return secrets;
}

}  // namespace

std::string one_line(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (std::size_t position = 0; position < text.size();) {
    char32_t c = core::next_code_point(text, position);
    if (c < 0x20 || c == 0x7f) c = ' ';
    const std::size_t before = out.size();
    core::append_utf8(out, c);
    if (out.size() <= bytes_max) continue;
    out.resize(before);
    break;
  }
  return out;
}

std::string quotable(const DestinationConfig& config, std::string_view text) {
  constexpr std::string_view kMask = "****";
  std::string quoted = one_line(text, std::string::npos);
  for (const std::string& secret : secrets_of(config)) {
    std::size_t at = quoted.find(secret);
    if (at != std::string::npos && secret.size() < kRedactedBytesMin) return "";
    for (; at != std::string::npos; at = quoted.find(secret, at + kMask.size()))
      quoted.replace(at, secret.size(), kMask);
  }
  return quoted;
}

void set_message(Classified& classified, std::string_view ours, std::string_view theirs) {
  classified.message = one_line(ours, kVerdictMessageBytesMax);
  constexpr std::string_view kLead = "; the answer: ";
  if (theirs.empty() || classified.message.size() + kLead.size() >= kVerdictMessageBytesMax) return;
  classified.message += kLead;
  classified.message += one_line(theirs, kVerdictMessageBytesMax - classified.message.size());
}

std::string unauthorized_advice(const Destination& destination) {
  const DestinationType type = destination.type;
  const ConfigFieldNames fields = config_field_names(type);
  const std::string_view scope =
      signal_of(destination) == Signal::Spans ? "traces:write" : "metrics:write";
  if (fields.secret.empty()) return "check the Authorization header in headers";
  std::string advice = fmt::format("check {} and {}", fields.instance_id, fields.secret);
  if (type == DestinationType::Grafana)
    advice += fmt::format(
        ": the token needs the scope {}, and the instance id is that of the OTLP gateway", scope);
  if (type == DestinationType::Gantry)
    advice += fmt::format(": the policy needs the scope {}", scope);
  return advice;
}

}  // namespace gantry::broadcast
