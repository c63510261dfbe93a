#include "access/secrets/sealed_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/core.h>
#include <openssl/evp.h>
#include <sodium.h>

namespace gantry::access {
namespace {

constexpr std::string_view kVersion = "gsec1";
constexpr int kBase64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
constexpr std::size_t kKeyIdBytesMax = 32;
constexpr std::size_t kTagBytes = 16;  // of both algorithms
constexpr std::size_t kTextBytesMax = 2 * kSecretBytesMax;
static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == kSealKeyBytes);
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == kTagBytes);

struct AlgorithmName {
  std::string_view name;
  SealAlgorithm algorithm;
  std::size_t nonce_bytes;
};

constexpr std::array kAlgorithms = {AlgorithmName{"xc20p", SealAlgorithm::XChaCha20Poly1305,
                                                  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES},
                                    AlgorithmName{"a256gcm", SealAlgorithm::Aes256Gcm, 12}};

const AlgorithmName& entry_of(SealAlgorithm algorithm) {
  return *std::ranges::find(kAlgorithms, algorithm, &AlgorithmName::algorithm);
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string encode(std::string_view bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), kBase64), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes_of(bytes), bytes.size(), kBase64);
  text.pop_back();
  return text;
}

std::optional<std::string> decode(std::string_view text) {
  std::string bytes(text.size(), '\0');
  std::size_t length = 0;
  const char* end = nullptr;
  if (sodium_base642bin(bytes_of(bytes), bytes.size(), text.data(), text.size(), nullptr, &length,
                        &end, kBase64) != 0 ||
      end != text.data() + text.size())
    return std::nullopt;
  bytes.resize(length);
  return bytes;
}

std::string format_header(const SealHeader& header) {
  return fmt::format("{}.{}.{}.{}", kVersion, header.kek, header.data_key,
                     entry_of(header.algorithm).name);
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// Of fields between dots; empty when there are not `Count`.
template <std::size_t Count>
std::optional<std::array<std::string_view, Count>> split(std::string_view text) {
  std::array<std::string_view, Count> fields;
  for (std::size_t i = 0; i < Count; ++i) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (i + 1 == Count)) return std::nullopt;
    fields.at(i) = text.substr(0, dot);
    text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
  }
  return fields;
}

/// With the header: its keys and algorithm cannot be changed either.
std::string associated_data(const SealHeader& header, std::string_view bound_to) {
  return fmt::format("{}|{}", bound_to, format_header(header));
}

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

int size_of(std::string_view text) {
  return static_cast<int>(text.size());
}

bool seal_gcm(SealedText& sealed, const Secret& key, std::string_view bound, const Secret& clear) {
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int length = 0;
  unsigned char* const out = bytes_of(sealed.ciphertext);
  return cipher != nullptr &&
         EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.bytes().data(),
                            bytes_of(sealed.nonce)) == 1 &&
         EVP_EncryptUpdate(cipher.get(), nullptr, &length, bytes_of(bound), size_of(bound)) == 1 &&
         EVP_EncryptUpdate(cipher.get(), out, &length, bytes_of(clear.view()),
                           size_of(clear.view())) == 1 &&
         EVP_EncryptFinal_ex(cipher.get(), out + clear.size(), &length) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, out + clear.size()) ==
             1;
}

bool open_gcm(const SealedText& sealed, const Secret& key, std::string_view bound, Secret& clear) {
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int length = 0;
  std::string tag = sealed.ciphertext.substr(clear.size());
  return cipher != nullptr &&
         EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.bytes().data(),
                            bytes_of(std::string_view(sealed.nonce))) == 1 &&
         EVP_DecryptUpdate(cipher.get(), nullptr, &length, bytes_of(bound), size_of(bound)) == 1 &&
         EVP_DecryptUpdate(cipher.get(), clear.bytes().data(), &length,
                           bytes_of(std::string_view(sealed.ciphertext)),
                           static_cast<int>(clear.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(cipher.get(), clear.bytes().data() + clear.size(), &length) == 1;
}

bool seal_xchacha(SealedText& sealed, const Secret& key, std::string_view bound,
                  const Secret& clear) {
  return crypto_aead_xchacha20poly1305_ietf_encrypt(
             bytes_of(sealed.ciphertext), nullptr, clear.bytes().data(), clear.size(),
             bytes_of(bound), bound.size(), nullptr, bytes_of(sealed.nonce),
             key.bytes().data()) == 0;
}

bool open_xchacha(const SealedText& sealed, const Secret& key, std::string_view bound,
                  Secret& clear) {
  return crypto_aead_xchacha20poly1305_ietf_decrypt(
             clear.bytes().data(), nullptr, nullptr, bytes_of(std::string_view(sealed.ciphertext)),
             sealed.ciphertext.size(), bytes_of(bound), bound.size(),
             bytes_of(std::string_view(sealed.nonce)), key.bytes().data()) == 0;
}

}  // namespace

bool is_key_id(std::string_view text) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kKeyIdBytesMax && is_plain(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return is_plain(c) || c == '-' || c == '_'; });
}

Result<SealedText> parse_sealed(std::string_view text) {
  const auto damaged = [] { return fail(Code::DataLoss, "this is no sealed value"); };
  if (text.size() > kTextBytesMax) return damaged();
  const auto fields = split<6>(text);
  if (!fields) return damaged();
  const auto& [version, kek, number, name, nonce_text, ciphertext_text] = *fields;
  if (version != kVersion) {
    const std::optional<std::int64_t> newer =
        version.starts_with("gsec") ? parse_number(version.substr(4)) : std::nullopt;
    if (newer.value_or(0) <= 1) return damaged();
    return fail(
        Code::FailedPrecondition,
        fmt::format("sealed by a newer gantry: version {}, this program knows version 1", *newer));
  }
  const auto* const algorithm = std::ranges::find(kAlgorithms, name, &AlgorithmName::name);
  const auto data_key = parse_number(number);
  auto nonce = decode(nonce_text);
  auto ciphertext = decode(ciphertext_text);
  if (algorithm == kAlgorithms.end() || !data_key || !is_key_id(kek) || !nonce || !ciphertext ||
      nonce->size() != algorithm->nonce_bytes || ciphertext->size() < kTagBytes ||
      ciphertext->size() > kSecretBytesMax + kTagBytes)
    return damaged();
  SealedText sealed{
      .header = {.kek = std::string(kek), .data_key = *data_key, .algorithm = algorithm->algorithm},
      .nonce = *std::move(nonce),
      .ciphertext = *std::move(ciphertext)};
  // Numbers with leading zeros, bits beyond the last byte of base64.
  if (format_sealed(sealed) != text) return damaged();
  return sealed;
}

std::string format_sealed(const SealedText& sealed) {
  return fmt::format("{}.{}.{}", format_header(sealed.header), encode(sealed.nonce),
                     encode(sealed.ciphertext));
}

Result<SealedText> make_sealed(const SealHeader& header, const Secret& key,
                               std::string_view bound_to, const Secret& clear) {
  GANTRY_ASSERT(key.size() == kSealKeyBytes, "keys are made and read with this size");
  GANTRY_ASSERT(is_key_id(header.kek) && header.data_key >= 0, "what is sealed can be parsed");
  if (clear.size() > kSecretBytesMax)
    return fail(Code::TooLarge, fmt::format("a secret of {} bytes, the limit is {}", clear.size(),
                                            kSecretBytesMax));
  SealedText sealed{.header = header,
                    .nonce = std::string(entry_of(header.algorithm).nonce_bytes, '\0'),
                    .ciphertext = std::string(clear.size() + kTagBytes, '\0')};
  randombytes_buf(sealed.nonce.data(), sealed.nonce.size());
  const std::string bound = associated_data(header, bound_to);
  const bool is_sealed = header.algorithm == SealAlgorithm::Aes256Gcm
                             ? seal_gcm(sealed, key, bound, clear)
                             : seal_xchacha(sealed, key, bound, clear);
  if (!is_sealed) return fail(Code::Internal, "a secret could not be sealed");
  return sealed;
}

Result<Secret> open_sealed(const SealedText& sealed, const Secret& key, std::string_view bound_to) {
  GANTRY_ASSERT(key.size() == kSealKeyBytes, "keys are made and read with this size");
  GANTRY_ASSERT(sealed.ciphertext.size() >= kTagBytes &&
                    sealed.nonce.size() == entry_of(sealed.header.algorithm).nonce_bytes,
                "parse_sealed checks it");
  Secret clear(sealed.ciphertext.size() - kTagBytes);
  const std::string bound = associated_data(sealed.header, bound_to);
  const bool is_genuine = sealed.header.algorithm == SealAlgorithm::Aes256Gcm
                              ? open_gcm(sealed, key, bound, clear)
                              : open_xchacha(sealed, key, bound, clear);
  if (!is_genuine)
    return fail(Code::DataLoss,
                "a sealed value does not open: it was changed, belongs elsewhere, or is of another "
                "key");
  return clear;
}

}  // namespace gantry::access
