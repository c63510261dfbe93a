#include "access/token.h"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include "access/random_text.h"

namespace gantry::access {
namespace {

constexpr std::array<std::string_view, 4> kTokenKindNames = {"glc", "cqm", "legacy", "llm"};

constexpr std::string_view kPrefix = "glc_";
constexpr std::string_view kBearerPrefix = "cqm_";
constexpr std::string_view kLegacyPrefix = "eyJrIjoi";  // {"k":"
constexpr std::size_t kBearerRandomBytes = 20;
constexpr std::size_t kBearerCharacters = 4 + 2 * kBearerRandomBytes;  // without the checksum
constexpr std::string_view kBase62 =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kSecretCharacters = 43;   // 62^43 > 2^256
constexpr std::size_t kChecksumCharacters = 6;  // 62^6 > 2^32
constexpr std::size_t kTokenBytesMax = 1024;
constexpr std::size_t kHintCharacters = 4;
constexpr std::size_t kNameInTokenMax = 160;  // keeps the payload under 400 base64 characters
constexpr std::size_t kZoneMax = 40;

/// CRC-32 (IEEE 802.3), bit by bit: it runs over 200 bytes when a token is made or explained.
std::uint32_t crc32(std::string_view text) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

/// The big-endian number in base 62, left-padded with '0' to `width`.
std::string base62(std::span<const unsigned char> number, std::size_t width) {
  std::vector<unsigned> digits(number.begin(), number.end());  // base 256, most significant first
  std::string text(width, '0');
  for (std::size_t i = width; i-- > 0;) {
    unsigned remainder = 0;
    for (unsigned& digit : digits) {
      const unsigned value = remainder * 256 + digit;
      digit = value / 62;
      remainder = value % 62;
    }
    text[i] = kBase62[remainder];
  }
  return text;
}

std::string checksum(std::string_view org, std::string_view name, std::string_view zone,
                     std::string_view secret) {
  const std::uint32_t crc = crc32(fmt::format("{}|{}|{}|{}", org, name, zone, secret));
  const std::array<unsigned char, 4> bytes = {
      static_cast<unsigned char>(crc >> 24U), static_cast<unsigned char>(crc >> 16U),
      static_cast<unsigned char>(crc >> 8U), static_cast<unsigned char>(crc)};
  return base62(bytes, kChecksumCharacters);
}

std::string encode_base64(std::string_view text) {
  std::string encoded(sodium_base64_encoded_len(text.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(encoded.data(), encoded.size(),
                    reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  encoded.pop_back();  // the terminating zero
  return encoded;
}

/// The payload as JSON; discarded when it is not JSON or has a key twice.
nlohmann::json parse_strictly(std::string_view text) {
  std::vector<std::vector<std::string>> keys;
  bool has_duplicate = false;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end && !keys.empty()) keys.pop_back();
    if (event == Event::key && !keys.empty()) {
      auto name = value.get<std::string>();
      has_duplicate = has_duplicate || std::ranges::find(keys.back(), name) != keys.back().end();
      keys.back().push_back(std::move(name));
    }
    return true;
  };
  auto parsed = nlohmann::json::parse(text, watch, false);
  return has_duplicate ? nlohmann::json(nlohmann::json::value_t::discarded) : parsed;
}

std::string string_member(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// Errors: InvalidArgument.
Result<std::string> decode_base64(std::string_view encoded) {
  std::string text(encoded.size(), '\0');
  std::size_t length = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(text.data()), text.size(), encoded.data(),
                        encoded.size(), nullptr, &length, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0)
    return fail(Code::InvalidArgument, "token is not base64");
  text.resize(length);
  return text;
}

/// Where the characters end that stand for the value of "k" and nothing else; the token's end when
/// it is not base64 of JSON with such a value.
std::size_t secret_end(std::string_view token) {
  constexpr std::string_view kKey = R"("k":")";
  const std::size_t begin = token.starts_with(kPrefix) ? kPrefix.size() : 0;
  if (begin == 0 && !token.starts_with(kLegacyPrefix)) return token.size();
  const auto payload = decode_base64(token.substr(begin));
  if (!payload) return token.size();
  const std::size_t key = payload->find(kKey);
  if (key == std::string::npos) return token.size();
  const std::size_t first_byte = key + kKey.size();
  const std::size_t end_byte = payload->find('"', first_byte);
  if (end_byte == std::string::npos) return token.size();
  // Four characters are three bytes.
  const std::size_t first = (first_byte * 4 + 2) / 3;
  const std::size_t end = end_byte * 4 / 3;
  return end < first + kHintCharacters ? token.size() : begin + end;
}

TokenHash keyed_hash(std::string_view text, const Pepper& pepper) {
  TokenHash hash{};
  crypto_auth_hmacsha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()),
                         text.size(), pepper.bytes.data());
  return hash;
}

/// Begins with NUL, which no credential may hold: a digest presented as a token is another text.
std::string imported_text(const Sha256& digest) {
  std::string text("\0sha256\0", 8);
  text.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return text;
}

}  // namespace

std::string_view token_kind_name(TokenKind kind) {
  return kTokenKindNames[static_cast<std::size_t>(kind)];
}

std::optional<TokenKind> parse_token_kind(std::string_view name) {
  for (std::size_t i = 0; i < kTokenKindNames.size(); ++i)
    if (kTokenKindNames[i] == name) return static_cast<TokenKind>(i);
  return std::nullopt;
}

bool is_token_name(std::string_view name) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 255 && is_alphanumeric(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_alphanumeric(c) || c == '-'; });
}

std::string issue_access_token(const TokenSubject& subject) {
  GANTRY_ASSERT(is_token_name(subject.policy_name) && is_token_name(subject.token_name) &&
                    is_token_name(subject.zone) && subject.zone.size() <= kZoneMax,
                "whoever stores names validates them");
  const std::string org = std::to_string(subject.org.value());
  std::string name = fmt::format("{}-{}", subject.policy_name, subject.token_name);
  name.resize(std::min(name.size(), kNameInTokenMax));

  std::array<unsigned char, kSecretBytes> random{};
  randombytes_buf(random.data(), random.size());
  std::string secret = base62(random, kSecretCharacters);
  secret += checksum(org, name, subject.zone, secret);
  std::string payload = fmt::format(R"({{"o":"{}","n":"{}","k":"{}","m":{{"r":"{}"}}}})", org, name,
                                    secret, subject.zone);
  // Spaces after the JSON instead of '=' after the base64.
  while (payload.size() % 3 != 0) payload += ' ';
  std::string token = std::string(kPrefix) + encode_base64(payload);
  // '+' and '/' come only from the bytes > ? ~ and DEL, which no name has.
  GANTRY_ASSERT(token.find_first_of("+/=") == std::string::npos, "tokens need no quoting anywhere");
  sodium_memzero(random.data(), random.size());
  sodium_memzero(secret.data(), secret.size());
  sodium_memzero(payload.data(), payload.size());
  return token;
}

std::string issue_bearer_token() {
  std::string token(kBearerPrefix);
  token += random_hexadecimal(kBearerRandomBytes);
  token += fmt::format("{:08x}", crc32(token));
  return token;
}

bool has_bearer_checksum(std::string_view token) {
  return token.size() == kBearerCharacters + 8 && token.starts_with(kBearerPrefix) &&
         token.substr(kBearerCharacters) ==
             fmt::format("{:08x}", crc32(token.substr(0, kBearerCharacters)));
}

std::string issue_legacy_key(OrgId org, std::string_view name) {
  return encode_base64(fmt::format(R"({{"k":"{}","n":"{}","id":{}}})",
                                   random_hexadecimal(kBearerRandomBytes), name, org.value()));
}

Result<TokenHint> parse_access_token(std::string_view token) {
  if (token.size() > kTokenBytesMax)
    return fail(Code::InvalidArgument, "token is longer than 1024 bytes");
  if (!token.starts_with(kPrefix)) return fail(Code::InvalidArgument, "not an access policy token");
  const std::string_view encoded = token.substr(kPrefix.size());
  GANTRY_TRY(const std::string payload, decode_base64(encoded));
  const nlohmann::json parsed = parse_strictly(payload);
  if (!parsed.is_object()) return fail(Code::InvalidArgument, "token payload is not JSON");
  TokenHint hint{.org = string_member(parsed, "o"), .name = string_member(parsed, "n"), .zone = {}};
  if (const auto m = parsed.find("m"); m != parsed.end()) hint.zone = string_member(*m, "r");
  const std::string secret = string_member(parsed, "k");
  if (secret.size() != kSecretCharacters + kChecksumCharacters ||
      secret.substr(kSecretCharacters) !=
          checksum(hint.org, hint.name, hint.zone, secret.substr(0, kSecretCharacters)))
    return fail(Code::InvalidArgument, "token checksum does not match: cut or mistyped");
  return hint;
}

std::string token_display_hint(std::string_view token) {
  const std::size_t underscore = token.find('_');
  const std::string_view prefix =
      underscore < 8 ? token.substr(0, underscore + 1) : std::string_view();
  const std::string_view shown = token.substr(0, secret_end(token));
  return fmt::format("{}…{}", prefix,
                     shown.substr(shown.size() - std::min(kHintCharacters, shown.size())));
}

Result<Sha256> parse_sha256(std::string_view text) {
  Sha256 digest{};
  std::size_t length = 0;
  if (text.size() != 2 * digest.size() ||
      sodium_hex2bin(digest.data(), digest.size(), text.data(), text.size(), nullptr, &length,
                     nullptr) != 0 ||
      length != digest.size())
    return fail(Code::InvalidArgument, "must be 64 hexadecimal digits: the SHA-256 of the key");
  return digest;
}

TokenHash TokenHasher::hash(std::string_view token) const {
  return keyed_hash(token, peppers_.front());
}

std::vector<TokenHash> TokenHasher::hashes(std::string_view token) const {
  std::vector<TokenHash> result;
  for (const Pepper& pepper : peppers_) result.push_back(keyed_hash(token, pepper));
  if (!token.starts_with(kLegacyPrefix)) return result;
  Sha256 digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(token.data()),
                     token.size());
  for (const Pepper& pepper : peppers_) result.push_back(keyed_hash(imported_text(digest), pepper));
  return result;
}

TokenHash TokenHasher::imported_hash(const Sha256& digest) const {
  return keyed_hash(imported_text(digest), peppers_.front());
}

bool is_equal_secret(std::span<const unsigned char> a, std::span<const unsigned char> b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string make_uuid() {
  std::array<unsigned char, 16> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0fU) | 0x40U);  // version 4
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3fU) | 0x80U);  // RFC 4122 variant
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

}  // namespace gantry::access
