#include "access/id_token.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

namespace gantry::access {
namespace {

constexpr std::int64_t kLeewayMs = 60'000;
constexpr std::int64_t kIssuedAgeMaxMs = 10 * 60'000;
constexpr std::size_t kTextBytesMax = 255;
constexpr std::string_view kLogoutEvent = "http://schemas.openid.net/event/backchannel-logout";

std::unexpected<Error> refuse(std::string_view what) {
  return fail(Code::Unauthenticated, fmt::format("the provider's token is refused: {}", what));
}

std::string text_of(const nlohmann::json& claims, std::string_view name) {
  const auto member = claims.find(name);
  if (member == claims.end() || !member->is_string()) return {};
  return member->get<std::string>();
}

/// Seconds since the epoch, as NumericDate.
std::optional<TimestampMs> time_of(const nlohmann::json& claims, std::string_view name) {
  const auto member = claims.find(name);
  if (member == claims.end() || !member->is_number()) return std::nullopt;
  const double seconds = member->get<double>();
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e12) return std::nullopt;
  return TimestampMs{static_cast<std::int64_t>(seconds * 1000)};
}

bool has_audience(const nlohmann::json& claims, std::string_view client_id) {
  const auto audience = claims.find("aud");
  if (audience == claims.end()) return false;
  if (audience->is_string()) return audience->get<std::string>() == client_id;
  if (!audience->is_array()) return false;
  return std::ranges::any_of(*audience, [&](const nlohmann::json& one) {
    return one.is_string() && one.get<std::string>() == client_id;
  });
}

/// With several audiences, the token must have been issued to this client.
bool is_authorised_party(const nlohmann::json& claims, std::string_view client_id) {
  const bool has_several = claims["aud"].is_array() && claims["aud"].size() > 1;
  if (!claims.contains("azp")) return !has_several;
  return text_of(claims, "azp") == client_id;
}

Result<void> check_common(const nlohmann::json& claims, std::string_view issuer,
                          std::string_view client_id, TimestampMs now) {
  if (text_of(claims, "iss") != issuer) return refuse("iss is another issuer");
  if (!has_audience(claims, client_id)) return refuse("aud is another client");
  if (!is_authorised_party(claims, client_id)) return refuse("azp is another client");
  const auto expires = time_of(claims, "exp");
  if (!expires) return refuse("no exp");
  if (now.since_epoch >= expires->since_epoch + kLeewayMs) return refuse("it has expired (exp)");
  const auto issued = time_of(claims, "iat");
  if (!issued) return refuse("no iat");
  if (issued->since_epoch > now.since_epoch + kLeewayMs) return refuse("iat is in the future");
  if (issued->since_epoch < now.since_epoch - kIssuedAgeMaxMs - kLeewayMs)
    return refuse("iat is more than 10 minutes ago");
  if (const auto not_before = time_of(claims, "nbf");
      claims.contains("nbf") &&
      (!not_before || not_before->since_epoch > now.since_epoch + kLeewayMs))
    return refuse("nbf is in the future");
  return {};
}

/// The left half of the access token's hash; SHA-512 for EdDSA with Ed25519.
std::string access_token_hash(std::string_view access_token, SignatureAlgorithm algorithm) {
  const auto* const bytes = reinterpret_cast<const unsigned char*>(access_token.data());
  std::array<unsigned char, crypto_hash_sha512_BYTES> hash{};
  std::size_t size = crypto_hash_sha256_BYTES;
  if (algorithm == SignatureAlgorithm::EdDsa) {
    size = crypto_hash_sha512_BYTES;
    crypto_hash_sha512(hash.data(), bytes, access_token.size());
  } else {
    crypto_hash_sha256(hash.data(), bytes, access_token.size());
  }
  return encode_base64url({reinterpret_cast<const char*>(hash.data()), size / 2});
}

bool is_true(const nlohmann::json& claims, std::string_view name) {
  const auto member = claims.find(name);
  if (member == claims.end()) return false;
  return (member->is_boolean() && member->get<bool>()) ||
         (member->is_string() && member->get<std::string>() == "true");
}

}  // namespace

Result<IdToken> verify_id_token(std::string_view token, const JsonWebKeys& keys,
                                const IdTokenExpectation& expected) {
  GANTRY_TRY(const JsonWebTokenHeader header, parse_token_header(token));
  if (header.type == "logout+jwt") return refuse("it is a logout token");
  GANTRY_TRY(std::string text, keys.verify(token));
  const auto claims = nlohmann::json::parse(text, nullptr, false);
  GANTRY_CHECK(check_common(claims, expected.issuer, expected.client_id, expected.now));
  const std::string nonce = text_of(claims, "nonce");
  if (nonce.size() != expected.nonce.size() ||
      sodium_memcmp(nonce.data(), expected.nonce.data(), nonce.size()) != 0)
    return refuse("nonce is not the one that was sent");
  IdToken id{.issuer = text_of(claims, "iss"),
             .subject = text_of(claims, "sub"),
             .session = text_of(claims, "sid"),
             .email = text_of(claims, "email").substr(0, kTextBytesMax),
             .is_email_verified = is_true(claims, "email_verified"),
             .name = text_of(claims, "name").substr(0, kTextBytesMax),
             .preferred_username = text_of(claims, "preferred_username"),
             .authenticated_at = time_of(claims, "auth_time")};
  if (id.subject.empty() || id.subject.size() > kTextBytesMax)
    return refuse("sub is missing or longer than 255 bytes");
  if (expected.max_age_seconds) {
    const std::int64_t oldest_ms =
        expected.now.since_epoch - *expected.max_age_seconds * 1000 - kLeewayMs;
    if (!id.authenticated_at) return refuse("no auth_time, though max_age was sent");
    if (id.authenticated_at->since_epoch < oldest_ms) return refuse("auth_time is too old");
  }
  if (claims.contains("at_hash") &&
      text_of(claims, "at_hash") != access_token_hash(expected.access_token, header.algorithm))
    return refuse("at_hash is not that of the access token");
  id.claims = std::move(text);
  return id;
}

Result<LogoutToken> verify_logout_token(std::string_view token, const JsonWebKeys& keys,
                                        std::string_view issuer, std::string_view client_id,
                                        TimestampMs now) {
  GANTRY_TRY(const JsonWebTokenHeader header, parse_token_header(token));
  if (header.type != "logout+jwt") return refuse("typ is not logout+jwt");
  GANTRY_TRY(const std::string text, keys.verify(token));
  const auto claims = nlohmann::json::parse(text, nullptr, false);
  GANTRY_CHECK(check_common(claims, issuer, client_id, now));
  if (claims.contains("nonce")) return refuse("a logout token has no nonce");
  const auto events = claims.find("events");
  if (events == claims.end() || !events->is_object() || !events->contains(kLogoutEvent) ||
      !(*events)[std::string(kLogoutEvent)].is_object())
    return refuse("no back-channel logout event");
  LogoutToken logout{.id = text_of(claims, "jti"),
                     .subject = text_of(claims, "sub"),
                     .session = text_of(claims, "sid"),
                     .expires_at = *time_of(claims, "exp")};
  if (logout.id.empty()) return refuse("no jti");
  if (logout.subject.empty() && logout.session.empty()) return refuse("neither sub nor sid");
  return logout;
}

Result<std::vector<std::string>> read_groups(std::string_view claims, std::string_view pointer) {
  const auto json = nlohmann::json::parse(claims, nullptr, false);
  nlohmann::json::json_pointer path;
  if (pointer.empty()) return fail(Code::InvalidArgument, "the JSON pointer to groups is empty");
  try {
    path = nlohmann::json::json_pointer(std::string(pointer));
  } catch (const nlohmann::json::exception&) {
    return fail(Code::InvalidArgument,
                fmt::format("\"{}\" is not a JSON pointer such as /groups", pointer));
  }
  std::vector<std::string> groups;
  if (!json.is_object()) return groups;
  if (!json.contains(path)) {
    const std::string first(pointer.substr(0, pointer.find('/', 1)).substr(1));
    if (json.contains("_claim_names") && json["_claim_names"].is_object() &&
        json["_claim_names"].contains(first))
      return fail(Code::FailedPrecondition,
                  "the provider left out the groups because there are too many for a token: "
                  "restrict it to the groups that are assigned to this application");
    return groups;
  }
  const nlohmann::json& found = json.at(path);
  if (found.is_string()) groups.push_back(found.get<std::string>());
  if (!found.is_array()) return groups;
  for (const auto& item : found)
    if (item.is_string()) groups.push_back(item.get<std::string>());
  return groups;
}

}  // namespace gantry::access
