#include "access/client_key.h"

#include <memory>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "access/json_web_token.h"
#include "access/secret_key.h"

namespace gantry::access {
namespace {

using nlohmann::json;

constexpr TimestampMs kNow{1'700'000'000'000};

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

using KeyPtr = std::unique_ptr<EVP_PKEY, KeyFree>;

/// `cipher`: under the passphrase "secret".
std::string pem_of(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
  BIO* const out = BIO_new(BIO_s_mem());
  unsigned char passphrase[] = "secret";
  EXPECT_EQ(PEM_write_bio_PrivateKey(out, key, cipher, cipher == nullptr ? nullptr : passphrase,
                                     cipher == nullptr ? 0 : 6, nullptr, nullptr),
            1);
  char* data = nullptr;
  const long length = BIO_get_mem_data(out, &data);
  std::string pem(data, static_cast<std::size_t>(length));
  BIO_free(out);
  return pem;
}

/// base64url of a number of the public key.
std::string number(const EVP_PKEY* key, const char* name, int bytes = 0) {
  BIGNUM* value = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &value), 1);
  std::string text(static_cast<std::size_t>(bytes != 0 ? bytes : BN_num_bytes(value)), '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(text.data()), static_cast<int>(text.size()));
  BN_free(value);
  return encode_base64url(text);
}

json rsa_jwk(const EVP_PKEY* key) {
  return {{"kty", "RSA"},
          {"kid", "k1"},
          {"n", number(key, OSSL_PKEY_PARAM_RSA_N)},
          {"e", number(key, OSSL_PKEY_PARAM_RSA_E)}};
}

json ec_jwk(const EVP_PKEY* key) {
  return {{"kty", "EC"},
          {"crv", "P-256"},
          {"kid", "k1"},
          {"x", number(key, OSSL_PKEY_PARAM_EC_PUB_X, 32)},
          {"y", number(key, OSSL_PKEY_PARAM_EC_PUB_Y, 32)}};
}

/// The claims, as whoever has the public key reads them.
json read_with(const json& jwk, const std::string& token) {
  const auto keys = JsonWebKeys::parse(json{{"keys", {jwk}}}.dump());
  EXPECT_TRUE(keys);
  const auto claims = (*keys)->verify(token);
  EXPECT_TRUE(claims) << (claims ? "" : claims.error().message);
  return claims ? json::parse(*claims) : json();
}

std::string assertion(const std::string& pem, std::string key_id = "k1") {
  const auto key = ClientKey::parse(pem, std::move(key_id));
  EXPECT_TRUE(key) << (key ? "" : key.error().message);
  return key ? (*key)->assert_client("gantry", "https://idp.example/token", kNow).value() : "";
}

TEST(ClientKeyTest, RsaSignsWhatTheProviderAsksFor) {
  ASSERT_TRUE(prepare_cryptography());
  const KeyPtr key(EVP_RSA_gen(2048U));
  const std::string token = assertion(pem_of(key.get()));
  const auto header = parse_token_header(token);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->algorithm, SignatureAlgorithm::Rs256);
  EXPECT_EQ(header->key_id, "k1");
  const json claims = read_with(rsa_jwk(key.get()), token);
  EXPECT_EQ(claims["iss"], "gantry");
  EXPECT_EQ(claims["sub"], "gantry");
  EXPECT_EQ(claims["aud"], "https://idp.example/token");
  EXPECT_EQ(claims["iat"], kNow.since_epoch / 1000);
  EXPECT_EQ(claims["exp"], kNow.since_epoch / 1000 + 60);
  EXPECT_NE(claims["jti"], read_with(rsa_jwk(key.get()), assertion(pem_of(key.get())))["jti"]);
}

TEST(ClientKeyTest, EllipticCurveSignaturesHaveTheirFixedLength) {
  ASSERT_TRUE(prepare_cryptography());
  const KeyPtr key(EVP_EC_gen("P-256"));
  const json jwk = ec_jwk(key.get());
  // One in 128 signatures has a number that begins with a zero byte.
  for (int i = 0; i < 600; ++i) {
    const std::string token = assertion(pem_of(key.get()));
    ASSERT_EQ(decode_base64url(token.substr(token.rfind('.') + 1))->size(), 64U);
    ASSERT_EQ(read_with(jwk, token)["iss"], "gantry");
  }
}

TEST(ClientKeyTest, NamesNoKeyWithoutAnId) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  EXPECT_EQ(parse_token_header(assertion(pem_of(key.get()), ""))->key_id, "");
}

TEST(ClientKeyTest, WhatCannotSignIsRefused) {
  const KeyPtr small(EVP_RSA_gen(1024U));
  const KeyPtr curve(EVP_EC_gen("P-384"));
  const KeyPtr sealed(EVP_EC_gen("P-256"));
  for (const std::string& pem : {std::string(), std::string("not a key"), pem_of(small.get()),
                                 pem_of(curve.get()), pem_of(sealed.get(), EVP_aes_256_cbc())}) {
    const auto key = ClientKey::parse(pem, "");
    ASSERT_FALSE(key) << pem;
    EXPECT_EQ(key.error().code, Code::InvalidArgument);
  }
}

}  // namespace
}  // namespace gantry::access
