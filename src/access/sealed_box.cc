#include "access/sealed_box.h"

#include <sodium.h>

namespace gantry::access {
namespace {

static_assert(crypto_secretbox_KEYBYTES == 32);

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

SealedBox::SealedBox(const SecretKey& key, std::string_view purpose) {
  for (const Pepper& pepper : key.peppers) {
    auto& derived = keys_.emplace_back();
    crypto_generichash(derived.data(), derived.size(), bytes_of(purpose), purpose.size(),
                       pepper.bytes.data(), pepper.bytes.size());
  }
}

std::vector<std::byte> SealedBox::seal(std::string_view text) const {
  std::vector<std::byte> sealed(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES +
                                text.size());
  auto* const nonce = reinterpret_cast<unsigned char*>(sealed.data());
  randombytes_buf(nonce, crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, bytes_of(text), text.size(), nonce,
                        keys_.front().data());
  return sealed;
}

Result<std::string> SealedBox::open(std::span<const std::byte> sealed) const {
  constexpr std::size_t kOverhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (sealed.size() < kOverhead) return fail(Code::DataLoss, "sealed bytes are cut");
  const auto* const nonce = reinterpret_cast<const unsigned char*>(sealed.data());
  std::string text(sealed.size() - kOverhead, '\0');
  for (const auto& key : keys_)
    if (crypto_secretbox_open_easy(
            reinterpret_cast<unsigned char*>(text.data()), nonce + crypto_secretbox_NONCEBYTES,
            sealed.size() - crypto_secretbox_NONCEBYTES, nonce, key.data()) == 0)
      return text;
  return fail(Code::DataLoss, "sealed bytes are damaged, or of another secret key");
}

}  // namespace gantry::access
