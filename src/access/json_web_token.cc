#include "access/json_web_token.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <cjose/cjose.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

namespace gantry::access {
namespace {

constexpr std::size_t kTokenBytesMax = 16 << 10;
constexpr std::size_t kKeysMax = 200;
constexpr std::size_t kRsaModulusBytesMin = 256;

struct Name {
  std::string_view text;
  SignatureAlgorithm algorithm;
};

constexpr std::array kAlgorithms = {
    Name{"RS256", SignatureAlgorithm::Rs256}, Name{"PS256", SignatureAlgorithm::Ps256},
    Name{"ES256", SignatureAlgorithm::Es256}, Name{"EdDSA", SignatureAlgorithm::EdDsa}};

struct Parts {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
};

std::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::InvalidArgument, fmt::format("not a signed token: {}", what));
}

Result<Parts> split(std::string_view token) {
  if (token.size() > kTokenBytesMax) return malformed("larger than 16 KiB");
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return malformed("it has not three parts");
  return Parts{.header = token.substr(0, first),
               .payload = token.substr(first + 1, second - first - 1),
               .signature = token.substr(second + 1)};
}

/// Null for anything but an object without repeated names.
nlohmann::json parse_object(std::string_view text) {
  std::vector<std::vector<std::string>> names;
  bool has_duplicate = false;
  const auto note = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::object_start) names.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end && !names.empty()) names.pop_back();
    if (event == nlohmann::json::parse_event_t::key) {
      auto name = parsed.get<std::string>();
      if (std::ranges::find(names.back(), name) != names.back().end()) has_duplicate = true;
      names.back().push_back(std::move(name));
    }
    return true;
  };
  auto json = nlohmann::json::parse(text, note, false);
  if (!json.is_object() || has_duplicate) return nullptr;
  return json;
}

std::string text_of(const nlohmann::json& object, std::string_view name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

struct CjoseFree {
  void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }

  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};

enum class KeyKind : std::uint8_t { Rsa, P256, Ed25519 };

struct Key {
  std::string id;
  KeyKind kind = KeyKind::Rsa;
  std::optional<SignatureAlgorithm> only_for;  ///< The key's own `alg`.
  std::unique_ptr<cjose_jwk_t, CjoseFree> cjose;
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> ed25519{};
};

KeyKind kind_for(SignatureAlgorithm algorithm) {
  switch (algorithm) {
    case SignatureAlgorithm::Rs256:
    case SignatureAlgorithm::Ps256:
      return KeyKind::Rsa;
    case SignatureAlgorithm::Es256:
      return KeyKind::P256;
    case SignatureAlgorithm::EdDsa:
      return KeyKind::Ed25519;
  }
  return KeyKind::Rsa;
}

/// Absent for a key that is of no use here.
std::optional<Key> read_key(const nlohmann::json& json) {
  if (!json.is_object()) return std::nullopt;
  const std::string use = text_of(json, "use");
  if (!use.empty() && use != "sig") return std::nullopt;
  Key key{.id = text_of(json, "kid")};
  if (const std::string name = text_of(json, "alg"); !name.empty()) {
    const auto known = std::ranges::find(kAlgorithms, name, &Name::text);
    if (known == kAlgorithms.end()) return std::nullopt;
    key.only_for = known->algorithm;
  }
  const std::string type = text_of(json, "kty");
  if (type == "OKP" && text_of(json, "crv") == "Ed25519") {
    key.kind = KeyKind::Ed25519;
    const auto bytes = decode_base64url(text_of(json, "x"));
    if (!bytes || bytes->size() != key.ed25519.size()) return std::nullopt;
    std::ranges::copy(*bytes, key.ed25519.begin());
    return key;
  }
  nlohmann::json public_part;
  if (type == "RSA") {
    const auto modulus = decode_base64url(text_of(json, "n"));
    if (!modulus || modulus->size() < kRsaModulusBytesMin) return std::nullopt;
    public_part = {{"kty", "RSA"}, {"n", text_of(json, "n")}, {"e", text_of(json, "e")}};
  } else if (type == "EC" && text_of(json, "crv") == "P-256") {
    key.kind = KeyKind::P256;
    public_part = {
        {"kty", "EC"}, {"crv", "P-256"}, {"x", text_of(json, "x")}, {"y", text_of(json, "y")}};
  } else {
    return std::nullopt;
  }
  const std::string text = public_part.dump();
  cjose_err error{};
  key.cjose.reset(cjose_jwk_import(text.data(), text.size(), &error));
  if (key.cjose == nullptr) return std::nullopt;
  return key;
}

bool verify_ed25519(const Key& key, std::string_view token, const Parts& parts) {
  const auto signature = decode_base64url(parts.signature);
  if (!signature || signature->size() != crypto_sign_BYTES) return false;
  const std::string_view covered = token.substr(0, token.rfind('.'));
  return crypto_sign_verify_detached(reinterpret_cast<const unsigned char*>(signature->data()),
                                     reinterpret_cast<const unsigned char*>(covered.data()),
                                     covered.size(), key.ed25519.data()) == 0;
}

bool verify_with_cjose(const Key& key, std::string_view token) {
  cjose_err error{};
  const std::unique_ptr<cjose_jws_t, CjoseFree> jws(
      cjose_jws_import(token.data(), token.size(), &error));
  return jws != nullptr && cjose_jws_verify(jws.get(), key.cjose.get(), &error);
}

}  // namespace

Result<std::string> decode_base64url(std::string_view text) {
  std::string bytes(text.size(), '\0');
  std::size_t length = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                        text.size(), nullptr, &length, nullptr,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
    return fail(Code::InvalidArgument, "not base64url");
  bytes.resize(length);
  return bytes;
}

std::string encode_base64url(std::string_view bytes) {
  std::string text(
      sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  text.pop_back();  // the terminating zero
  return text;
}

Result<JsonWebTokenHeader> parse_token_header(std::string_view token) {
  GANTRY_TRY(const Parts parts, split(token));
  const auto text = decode_base64url(parts.header);
  const nlohmann::json json = text ? parse_object(*text) : nullptr;
  if (!json.is_object()) return malformed("its header is not JSON");
  if (json.contains("crit")) return malformed("its header demands extensions");
  const std::string algorithm = text_of(json, "alg");
  const auto known = std::ranges::find(kAlgorithms, algorithm, &Name::text);
  if (known == kAlgorithms.end())
    return malformed("its algorithm is not RS256, PS256, ES256 or EdDSA");
  return JsonWebTokenHeader{
      .algorithm = known->algorithm, .key_id = text_of(json, "kid"), .type = text_of(json, "typ")};
}

struct JsonWebKeys::Impl {
  std::vector<Key> keys;

  [[nodiscard]] const Key* find(const JsonWebTokenHeader& header) const {
    const Key* found = nullptr;
    for (const Key& key : keys) {
      if (key.kind != kind_for(header.algorithm)) continue;
      if (key.only_for && *key.only_for != header.algorithm) continue;
      if (!header.key_id.empty() && key.id != header.key_id) continue;
      if (found != nullptr) return nullptr;  // two keys of one name, or no name to choose by
      found = &key;
    }
    return found;
  }
};

JsonWebKeys::JsonWebKeys(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

JsonWebKeys::~JsonWebKeys() = default;

Result<std::shared_ptr<const JsonWebKeys>> JsonWebKeys::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("keys") || !json["keys"].is_array())
    return fail(Code::InvalidArgument, "not a JWK set");
  if (json["keys"].size() > kKeysMax)
    return fail(Code::InvalidArgument, "a JWK set of more than 200 keys");
  auto impl = std::make_unique<Impl>();
  for (const auto& item : json["keys"])
    if (auto key = read_key(item)) impl->keys.push_back(*std::move(key));
  return std::shared_ptr<const JsonWebKeys>(new JsonWebKeys(std::move(impl)));
}

bool JsonWebKeys::has_key_for(const JsonWebTokenHeader& header) const {
  return impl_->find(header) != nullptr;
}

std::size_t JsonWebKeys::size() const {
  return impl_->keys.size();
}

Result<std::string> JsonWebKeys::verify(std::string_view token) const {
  GANTRY_TRY(const Parts parts, split(token));
  GANTRY_TRY(const JsonWebTokenHeader header, parse_token_header(token));
  const Key* const key = impl_->find(header);
  if (key == nullptr)
    return fail(Code::Unauthenticated,
                "the token is signed with a key that the provider does not "
                "publish");
  const bool is_good = key->kind == KeyKind::Ed25519 ? verify_ed25519(*key, token, parts)
                                                     : verify_with_cjose(*key, token);
  if (!is_good) return fail(Code::Unauthenticated, "the token's signature is wrong");
  GANTRY_TRY(std::string claims, decode_base64url(parts.payload));
  if (!parse_object(claims).is_object()) return malformed("its claims are not a JSON object");
  return claims;
}

}  // namespace gantry::access
