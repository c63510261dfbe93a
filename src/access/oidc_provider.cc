#include "access/oidc_provider.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include "access/token.h"
#include "core/log.h"
#include "core/mutex.h"

namespace gantry::access {
namespace {

constexpr DurationMs kTimeout{10'000};
constexpr DurationMs kMetadataLife{std::int64_t{3600} * 1000};
constexpr DurationMs kRetryInterval{60'000};
constexpr std::int64_t kKeysLifeMinSeconds = 5 * 60;
constexpr std::int64_t kKeysLifeMaxSeconds = 24 * 3600;
constexpr std::size_t kErrorBytesMax = 200;
constexpr int kAtOnceMax = 8;  // exchanges: a slow provider must not take up all workers

std::string text_of(const nlohmann::json& object, std::string_view name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

std::unexpected<Error> bad_metadata(std::string_view what) {
  return fail(Code::FailedPrecondition,
              fmt::format("the OpenID provider's configuration document: {}", what));
}

Result<void> check_endpoint(std::string_view name, const std::string& url, bool must_be_https) {
  const auto parsed = net::parse_egress_url(url);
  if (!parsed) return bad_metadata(fmt::format("{}: {}", name, parsed.error().message));
  if (must_be_https && parsed->scheme != "https")
    return bad_metadata(fmt::format("{} is not https", name));
  return {};
}

/// What a provider says went wrong, for a log: printable ASCII, not too much of it.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kErrorBytesMax)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

std::string base64(std::string_view text) {
  std::string out(sodium_base64_encoded_len(text.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(text.data()),
                    text.size(), sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();  // the terminating zero
  return out;
}

/// Adds the client's proof of who it is to a request to the token endpoint.
Result<void> authenticate(const OidcSettings& settings, TimestampMs now,
                          net::EgressRequest& request) {
  const std::string id = form_escape(settings.client_id);
  switch (settings.authentication) {
    case ClientAuthentication::SecretBasic:
      // RFC 6749 §2.3.1: both parts are form-encoded first.
      request.headers.add(
          "Authorization",
          "Basic " + base64(fmt::format("{}:{}", id, form_escape(settings.client_secret))));
      return {};
    case ClientAuthentication::SecretPost:
      request.body +=
          fmt::format("&client_id={}&client_secret={}", id, form_escape(settings.client_secret));
      return {};
    case ClientAuthentication::PrivateKeyJwt:
      break;
  }
  GANTRY_ASSERT(settings.client_key != nullptr, "settings with private_key_jwt have a key");
  GANTRY_TRY(const std::string assertion,
             settings.client_key->assert_client(settings.client_id, request.url, now));
  request.body +=
      fmt::format("&client_id={}&client_assertion_type={}&client_assertion={}", id,
                  form_escape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), assertion);
  return {};
}

}  // namespace

std::string form_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                          (c >= 'a' && c <= 'z') || std::string_view("-_.~").contains(c);
    if (is_plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<GroupRule> parse_group_rule(std::string_view text) {
  // A group's name may hold ':' and '=' itself: the last ones count.
  const std::size_t colon = text.rfind(':');
  const std::size_t equals = text.rfind('=', colon);
  if (colon != std::string_view::npos && equals != std::string_view::npos && equals > 0) {
    const auto role = parse_role(text.substr(colon + 1));
    const std::string_view organisation = text.substr(equals + 1, colon - equals - 1);
    if (role && is_token_name(organisation))
      return GroupRule{.group = std::string(text.substr(0, equals)),
                       .organisation = std::string(organisation),
                       .role = *role};
  }
  return fail(Code::InvalidArgument,
              fmt::format("\"{}\" is not GROUP=ORGANISATION:ROLE such as admins=main:admin", text));
}

Result<OidcMetadata> parse_oidc_metadata(std::string_view text, std::string_view issuer) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return bad_metadata("not a JSON object");
  if (text_of(json, "issuer") != issuer)
    return bad_metadata(fmt::format("it is for the issuer \"{}\", oidc.issuer says \"{}\"",
                                    printable(text_of(json, "issuer")), issuer));
  OidcMetadata metadata{.authorization_endpoint = text_of(json, "authorization_endpoint"),
                        .token_endpoint = text_of(json, "token_endpoint"),
                        .keys_url = text_of(json, "jwks_uri"),
                        .end_session_endpoint = text_of(json, "end_session_endpoint")};
  if (const auto names = json.find("authorization_response_iss_parameter_supported");
      names != json.end() && names->is_boolean())
    metadata.names_itself = names->get<bool>();
  const bool is_https = issuer.starts_with("https://");
  GANTRY_CHECK(check_endpoint("authorization_endpoint", metadata.authorization_endpoint, is_https));
  GANTRY_CHECK(check_endpoint("token_endpoint", metadata.token_endpoint, is_https));
  GANTRY_CHECK(check_endpoint("jwks_uri", metadata.keys_url, is_https));
  if (!metadata.end_session_endpoint.empty())
    GANTRY_CHECK(check_endpoint("end_session_endpoint", metadata.end_session_endpoint, is_https));
  return metadata;
}

DurationMs keys_lifetime(std::string_view cache_control) {
  constexpr std::string_view kName = "max-age=";
  std::int64_t seconds = 0;
  if (const std::size_t at = cache_control.find(kName); at != std::string_view::npos) {
    const std::string_view number = cache_control.substr(at + kName.size());
    std::from_chars(number.data(), number.data() + number.size(), seconds);
  }
  return {std::clamp(seconds, kKeysLifeMinSeconds, kKeysLifeMaxSeconds) * 1000};
}

struct OidcProvider::Impl {
  Impl(Fetch f, const Clock& c) : fetch_one(std::move(f)), clock(c) {}

  const Fetch fetch_one;
  const Clock& clock;

  core::Mutex mutex;
  int in_flight GANTRY_GUARDED_BY(mutex) = 0;
  std::optional<OidcMetadata> metadata GANTRY_GUARDED_BY(mutex);
  TimestampMs metadata_until GANTRY_GUARDED_BY(mutex);
  std::shared_ptr<const JsonWebKeys> keys GANTRY_GUARDED_BY(mutex);
  TimestampMs keys_until GANTRY_GUARDED_BY(mutex);
  std::optional<TimestampMs> keys_asked_at GANTRY_GUARDED_BY(mutex);

  Result<net::EgressResponse> fetch(const net::EgressRequest& request) {
    {
      const core::Lock lock(mutex);
      if (in_flight >= kAtOnceMax)
        return fail(Code::Unavailable, "too many sign-ins with the OpenID provider at once");
      ++in_flight;
    }
    auto response = fetch_one(request);
    const core::Lock lock(mutex);
    --in_flight;
    return response;
  }

  Result<std::string> read(const std::string& url, net::Headers* headers) {
    net::EgressRequest request{.url = url, .timeout = kTimeout};
    request.headers.add("Accept", "application/json");
    GANTRY_TRY(net::EgressResponse response, fetch(request));
    if (response.status != 200)
      return fail(Code::Unavailable,
                  fmt::format("the OpenID provider answered {}", response.status));
    if (headers != nullptr) *headers = std::move(response.headers);
    return std::move(response.body);
  }

  Result<void> refresh_keys(const std::string& url);
};

/// Asks at most once a minute, whatever the answer.
Result<void> OidcProvider::Impl::refresh_keys(const std::string& url) {
  const TimestampMs now = clock.now();
  {
    const core::Lock lock(mutex);
    if (keys_asked_at && now - *keys_asked_at < kRetryInterval) return {};
    keys_asked_at = now;
  }
  net::Headers headers;
  GANTRY_TRY(const std::string text, read(url, &headers));
  GANTRY_TRY(auto fresh, JsonWebKeys::parse(text));
  const core::Lock lock(mutex);
  keys = std::move(fresh);
  keys_until = now + keys_lifetime(headers.find("Cache-Control"));
  return {};
}

OidcProvider::OidcProvider(OidcSettings settings, Fetch fetch, const Clock& clock)
    : settings_(std::move(settings)), impl_(std::make_unique<Impl>(std::move(fetch), clock)) {}

OidcProvider::~OidcProvider() = default;

Result<OidcMetadata> OidcProvider::metadata() {
  const TimestampMs now = impl_->clock.now();
  std::optional<OidcMetadata> known;
  {
    const core::Lock lock(impl_->mutex);
    known = impl_->metadata;
    if (known && now < impl_->metadata_until) return *known;
  }
  const std::string_view base = settings_.issuer;
  const auto fetch = [&]() -> Result<OidcMetadata> {
    GANTRY_TRY(const std::string text,
               impl_->read(fmt::format("{}/.well-known/openid-configuration",
                                       base.substr(0, base.find_last_not_of('/') + 1)),
                           nullptr));
    return parse_oidc_metadata(text, settings_.issuer);
  };
  auto fresh = fetch();
  const core::Lock lock(impl_->mutex);
  if (fresh) {
    impl_->metadata = *fresh;
    impl_->metadata_until = now + kMetadataLife;
    return fresh;
  }
  if (!known) return fresh;
  log::warn("the OpenID provider's configuration was not read again",
            {{"issuer", settings_.issuer}, {"error", fresh.error().message}});
  impl_->metadata_until = now + kRetryInterval;
  return *known;
}

Result<std::shared_ptr<const JsonWebKeys>> OidcProvider::keys_for(std::string_view token) {
  GANTRY_TRY(const JsonWebTokenHeader header, parse_token_header(token));
  GANTRY_TRY(const OidcMetadata current, metadata());
  std::shared_ptr<const JsonWebKeys> keys;
  bool is_fresh = false;
  {
    const core::Lock lock(impl_->mutex);
    keys = impl_->keys;
    is_fresh = keys != nullptr && impl_->clock.now() < impl_->keys_until;
  }
  if (is_fresh && keys->has_key_for(header)) return keys;
  const auto refreshed = impl_->refresh_keys(current.keys_url);
  const core::Lock lock(impl_->mutex);
  if (impl_->keys != nullptr) return impl_->keys;
  if (!refreshed) return std::unexpected(refreshed.error());
  return fail(Code::Unavailable, "the OpenID provider's keys are not known");
}

Result<OidcTokens> OidcProvider::exchange(std::string_view code, std::string_view verifier,
                                          std::string_view redirect_url) {
  GANTRY_TRY(const OidcMetadata current, metadata());
  net::EgressRequest request{.method = "POST", .url = current.token_endpoint, .timeout = kTimeout};
  request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  request.headers.add("Accept", "application/json");
  request.body =
      fmt::format("grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={}",
                  form_escape(code), form_escape(redirect_url), form_escape(verifier));
  GANTRY_CHECK(authenticate(settings_, impl_->clock.now(), request));
  GANTRY_TRY(const net::EgressResponse response, impl_->fetch(request));
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (response.status != 200)
    return fail(response.status >= 500 ? Code::Unavailable : Code::Unauthenticated,
                fmt::format("the OpenID provider refused the code with {}: {}", response.status,
                            json.is_object() ? printable(text_of(json, "error")) : ""));
  if (!json.is_object()) return fail(Code::Unavailable, "the OpenID provider's answer is not JSON");
  OidcTokens tokens{.id_token = text_of(json, "id_token"),
                    .access_token = text_of(json, "access_token")};
  if (tokens.id_token.empty())
    return fail(Code::Unauthenticated, "the OpenID provider sent no ID token");
  return tokens;
}

}  // namespace gantry::access
