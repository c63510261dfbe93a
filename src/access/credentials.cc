#include "access/credentials.h"

#include <algorithm>
#include <array>
#include <expected>
#include <optional>
#include <utility>

#include <sodium.h>

namespace gantry::access {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// A newline at the end of a pasted token is the commonest breakage; nothing else is repaired.
std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

std::optional<std::string> decode_base64(std::string_view encoded) {
  std::string decoded(encoded.size(), '\0');
  for (const int variant :
       {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING,
        sodium_base64_VARIANT_URLSAFE}) {
    std::size_t length = 0;
    if (sodium_base642bin(reinterpret_cast<unsigned char*>(decoded.data()), decoded.size(),
                          encoded.data(), encoded.size(), nullptr, &length, nullptr,
                          variant) == 0) {
      decoded.resize(length);
      return decoded;
    }
  }
  return std::nullopt;
}

/// "id:token" or a token alone: no token of ours has a colon.
Credentials split_pair(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {.user = {}, .token = std::string(trim(text))};
  return {.user = std::string(trim(text.substr(0, colon))),
          .token = std::string(trim(text.substr(colon + 1)))};
}

struct Scheme {
  std::string_view name;
  std::string_view rest;
};

/// One or more blanks may stand between the scheme and what follows: senders do send two.
Scheme split_scheme(std::string_view value) {
  value = trim(value);
  const std::size_t blank = value.find(' ');
  if (blank == std::string_view::npos) return {.name = value, .rest = {}};
  return {.name = value.substr(0, blank), .rest = trim(value.substr(blank + 1))};
}

std::expected<Credentials, std::string_view> parse_authorization(std::string_view value,
                                                                 const CredentialForms& forms) {
  const Scheme scheme = split_scheme(value);
  if (has_control_character(scheme.rest)) return std::unexpected("malformed_credentials");
  Credentials credentials;
  if (!forms.bearer_only && equals_ignoring_case(scheme.name, "Basic")) {
    if (scheme.rest.size() > kCredentialBytesMax * 4 / 3 + 4)
      return std::unexpected("malformed_credentials");
    const auto decoded = decode_base64(scheme.rest);
    if (!decoded || !decoded->contains(':')) return std::unexpected("malformed_credentials");
    credentials = split_pair(*decoded);
  } else if (equals_ignoring_case(scheme.name, "Bearer") ||
             (forms.accepts_token_scheme && equals_ignoring_case(scheme.name, "Token"))) {
    credentials = split_pair(scheme.rest);
  } else {
    return std::unexpected("unknown_scheme");
  }
  if (credentials.token.empty() || has_control_character(credentials.token) ||
      credentials.user.size() + credentials.token.size() > kCredentialBytesMax)
    return std::unexpected("malformed_credentials");
  return credentials;
}

bool all_equal(const std::vector<std::string>& values) {
  return std::ranges::adjacent_find(values, std::not_equal_to<>()) == values.end();
}

bool names_a_secret(const net::Parameters& parameters) {
  static constexpr std::array<std::string_view, 4> kNames = {"token", "api_key", "access_token",
                                                             "p"};
  return std::ranges::any_of(
      kNames, [&](std::string_view name) { return parameters.find(name).has_value(); });
}

}  // namespace

RawCredentials raw_credentials(const net::Request& request) {
  RawCredentials raw{.client = client_context(request), .route = request.path};
  for (const auto& [name, value] : request.headers.fields()) {
    if (equals_ignoring_case(name, "Authorization"))
      raw.authorization.push_back(value);
    else if (equals_ignoring_case(name, "X-Gantry-Token"))
      raw.gantry_token.push_back(value);
    else if (equals_ignoring_case(name, "X-Scope-OrgID"))
      raw.scope_org_id.push_back(value);
    else if (equals_ignoring_case(name, "X-Prom-Label-Policy"))
      raw.label_policy.push_back(value);
    else if (equals_ignoring_case(name, "Sec-Fetch-Mode"))
      raw.is_browser = true;
  }
  if (raw.authorization.empty() && raw.gantry_token.empty() && !request.raw_query.empty()) {
    const auto parameters = net::Parameters::parse(request.raw_query);
    raw.has_secret_in_url = parameters && names_a_secret(*parameters);
  }
  return raw;
}

AccessResult<Credentials> parse_credentials(const RawCredentials& raw, const CredentialForms& forms,
                                            const ChallengeContext& context) {
  if (!all_equal(raw.authorization))
    return std::unexpected(
        bad_credentials("several different Authorization headers", "contradicting_credentials"));
  if (!all_equal(raw.gantry_token))
    return std::unexpected(
        bad_credentials("several different X-Gantry-Token headers", "contradicting_credentials"));
  if (raw.authorization.empty()) {
    if (raw.gantry_token.empty() || forms.bearer_only)
      return std::unexpected(raw.has_secret_in_url ? secret_in_url(context)
                                                   : no_credentials(context));
    Credentials credentials{.user = {}, .token = std::string(trim(raw.gantry_token.front()))};
    if (credentials.token.empty() || credentials.token.size() > kCredentialBytesMax ||
        has_control_character(credentials.token))
      return std::unexpected(invalid_token(context, "malformed_credentials"));
    return credentials;
  }
  auto credentials = parse_authorization(raw.authorization.front(), forms);
  if (!forms.bearer_only && !raw.gantry_token.empty() &&
      (!credentials || credentials->token != trim(raw.gantry_token.front())))
    return std::unexpected(bad_credentials("Authorization and X-Gantry-Token name different tokens",
                                           "contradicting_credentials"));
  if (!credentials) return std::unexpected(invalid_token(context, credentials.error()));
  return *std::move(credentials);
}

}  // namespace gantry::access
