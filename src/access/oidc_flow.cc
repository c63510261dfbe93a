#include <array>
#include <utility>

#include <nlohmann/json.hpp>
#include <sodium.h>

#include "access/oidc_flow_internal.h"

namespace gantry::access {
namespace {

constexpr std::string_view kKeyLabel = "oidc|cookie key";
constexpr std::string_view kAssociatedData = "gantry_oidc";
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(sizeof(TokenHash) == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::optional<std::string> open_with(const TokenHash& key, std::string_view sealed) {
  if (sealed.size() < kNonceBytes + kTagBytes) return std::nullopt;
  std::string text(sealed.size() - kNonceBytes - kTagBytes, '\0');
  unsigned long long length = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          bytes_of(text), &length, nullptr, bytes_of(sealed) + kNonceBytes,
          sealed.size() - kNonceBytes, bytes_of(kAssociatedData), kAssociatedData.size(),
          bytes_of(sealed), key.data()) != 0)
    return std::nullopt;
  return text;
}

}  // namespace

std::string seal_flow(const OidcFlow& flow, const TokenHasher& hasher) {
  const std::string text = nlohmann::json{
      {"purpose", std::to_underlying(flow.purpose)},
      {"provider", flow.provider},
      {"state", flow.state},
      {"nonce", flow.nonce},
      {"verifier", flow.verifier},
      {"return_to", flow.return_to},
      {"family", flow.family_id},
      {"expires",
       flow.expires_at_ms}}.dump();
  std::string sealed(kNonceBytes + text.size() + kTagBytes, '\0');
  randombytes_buf(sealed.data(), kNonceBytes);
  const TokenHash key = hasher.hash(kKeyLabel);
  unsigned long long length = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      bytes_of(sealed) + kNonceBytes, &length, bytes_of(text), text.size(),
      bytes_of(kAssociatedData), kAssociatedData.size(), nullptr, bytes_of(sealed), key.data());
  return encode_base64url(sealed);
}

std::optional<OidcFlow> open_flow(std::string_view sealed, const TokenHasher& hasher,
                                  TimestampMs now) {
  const auto bytes = decode_base64url(sealed);
  if (!bytes) return std::nullopt;
  for (const TokenHash& key : hasher.hashes(kKeyLabel)) {
    const auto text = open_with(key, *bytes);
    if (!text) continue;
    const auto json = nlohmann::json::parse(*text);  // sealed here: it is what was written
    OidcFlow flow{.purpose = static_cast<OidcPurpose>(json["purpose"].get<std::uint8_t>()),
                  .provider = json["provider"],
                  .state = json["state"],
                  .nonce = json["nonce"],
                  .verifier = json["verifier"],
                  .return_to = json["return_to"],
                  .family_id = json["family"],
                  .expires_at_ms = json["expires"]};
    if (now.since_epoch >= flow.expires_at_ms) return std::nullopt;
    return flow;
  }
  return std::nullopt;
}

std::string code_challenge(std::string_view verifier) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), bytes_of(verifier), verifier.size());
  return encode_base64url({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

}  // namespace gantry::access
