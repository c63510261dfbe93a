#include "access/client_key.h"

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "access/json_web_token.h"
#include "access/token.h"

namespace gantry::access {
namespace {

constexpr int kRsaBitsMin = 2048;
constexpr std::int64_t kLifeSeconds = 60;
constexpr int kP256Bytes = 32;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

/// Instead of OpenSSL's own, which asks at the terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

bool is_p256(const EVP_PKEY* key) {
  std::string name(64, '\0');
  std::size_t length = 0;
  if (EVP_PKEY_get_group_name(key, name.data(), name.size(), &length) != 1) return false;
  name.resize(length);
  return name == "prime256v1" || name == "P-256";
}

std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// JWS has the two numbers of an ECDSA signature side by side, OpenSSL their ASN.1 form.
Result<std::string> raw_signature(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::string raw(std::size_t{2} * kP256Bytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  if (signature == nullptr ||
      BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, kP256Bytes) != kP256Bytes ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + kP256Bytes, kP256Bytes) != kP256Bytes)
    return fail(Code::Internal, "the signature of a client assertion cannot be read");
  return raw;
}

}  // namespace

struct ClientKey::Impl {
  KeyPtr key;
  std::string id;
  bool is_rsa = false;

  [[nodiscard]] Result<std::string> sign(std::string_view text) const {
    const std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t length = 0;
    if (context == nullptr ||
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &length, bytes, text.size()) != 1)
      return fail(Code::Internal, "a client assertion cannot be signed");
    std::string signature(length, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                       bytes, text.size()) != 1)
      return fail(Code::Internal, "a client assertion cannot be signed");
    signature.resize(length);
    return is_rsa ? signature : raw_signature(signature);
  }
};

ClientKey::ClientKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ClientKey::~ClientKey() = default;

Result<std::shared_ptr<const ClientKey>> ClientKey::parse(std::string_view pem,
                                                          std::string key_id) {
  const std::unique_ptr<BIO, Free<BIO_free_all>> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  auto impl = std::make_unique<Impl>();
  impl->id = std::move(key_id);
  if (text != nullptr)
    impl->key.reset(PEM_read_bio_PrivateKey(text.get(), nullptr, no_passphrase, nullptr));
  if (impl->key == nullptr)
    return fail(Code::InvalidArgument, "not a private key in PEM form without a passphrase");
  impl->is_rsa = EVP_PKEY_is_a(impl->key.get(), "RSA") == 1;
  const bool is_usable =
      impl->is_rsa ? EVP_PKEY_get_bits(impl->key.get()) >= kRsaBitsMin
                   : EVP_PKEY_is_a(impl->key.get(), "EC") == 1 && is_p256(impl->key.get());
  if (!is_usable)
    return fail(Code::InvalidArgument, "the key is neither RSA of 2048 bits or more nor EC P-256");
  return std::shared_ptr<const ClientKey>(new ClientKey(std::move(impl)));
}

Result<std::string> ClientKey::assert_client(std::string_view client_id, std::string_view audience,
                                             TimestampMs now) const {
  nlohmann::json header = {{"alg", impl_->is_rsa ? "RS256" : "ES256"}, {"typ", "JWT"}};
  if (!impl_->id.empty()) header["kid"] = impl_->id;
  const std::int64_t now_seconds = now.since_epoch / 1000;
  const nlohmann::json claims = {{"iss", client_id},   {"sub", client_id},
                                 {"aud", audience},    {"jti", make_uuid()},
                                 {"iat", now_seconds}, {"exp", now_seconds + kLifeSeconds}};
  const std::string covered = encode_base64url(dump(header)) + "." + encode_base64url(dump(claims));
  GANTRY_TRY(const std::string signature, impl_->sign(covered));
  return covered + "." + encode_base64url(signature);
}

}  // namespace gantry::access
