#include "core/md5.h"

#include <exception>
#include <memory>

#include <openssl/evp.h>
#include <openssl/provider.h>

namespace gantry::core {
namespace {

/// A library context of its own: where the system allows approved algorithms only, MD5 is not among
/// those of the usual one.
class Md5Algorithm {
 public:
  Md5Algorithm()
      : context_(OSSL_LIB_CTX_new()),
        provider_(OSSL_PROVIDER_load(context_.get(), "default")),
        algorithm_(EVP_MD_fetch(context_.get(), "MD5", nullptr)) {}

  [[nodiscard]] const EVP_MD* get() const { return algorithm_.get(); }

 private:
  template <auto kFree>
  struct Free {
    void operator()(auto* object) const { kFree(object); }
  };

  std::unique_ptr<OSSL_LIB_CTX, Free<OSSL_LIB_CTX_free>> context_;
  std::unique_ptr<OSSL_PROVIDER, Free<OSSL_PROVIDER_unload>> provider_;
  std::unique_ptr<EVP_MD, Free<EVP_MD_free>> algorithm_;
};

}  // namespace

Md5Digest md5(std::string_view text) {
  static const Md5Algorithm kAlgorithm;
  Md5Digest digest{};
  // Without memory only, or with a broken installation of OpenSSL.
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, kAlgorithm.get(), nullptr) !=
      1) {
    std::terminate();
  }
  return digest;
}

}  // namespace gantry::core
