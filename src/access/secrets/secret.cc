#include "access/secrets/secret.h"

#include <cstring>
#include <utility>

#include <sodium.h>

#include "core/error.h"

namespace gantry::access {

Secret::Secret(std::size_t size_bytes) : size_bytes_(size_bytes) {
  // sodium_malloc reads the page size that this finds out.
  static const bool is_ready = sodium_init() >= 0;
  GANTRY_ASSERT(is_ready, "libsodium starts");
  bytes_.reset(static_cast<unsigned char*>(sodium_malloc(size_bytes)));
  GANTRY_ASSERT(bytes_ != nullptr, "memory is limited by bounds, not by failing");
  sodium_memzero(bytes_.get(), size_bytes);
}

Secret Secret::copy_of(std::string_view text) {
  Secret secret(text.size());
  if (!text.empty()) std::memcpy(secret.bytes_.get(), text.data(), text.size());
  return secret;
}

Secret Secret::random(std::size_t size_bytes) {
  Secret secret(size_bytes);
  randombytes_buf(secret.bytes_.get(), size_bytes);
  return secret;
}

Secret::Secret(Secret&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  bytes_ = std::move(other.bytes_);
  size_bytes_ = std::exchange(other.size_bytes_, 0);
  return *this;
}

std::string_view Secret::view() const {
  return {reinterpret_cast<const char*>(bytes_.get()), size_bytes_};
}

void Secret::Release::operator()(unsigned char* bytes) const {
  sodium_free(bytes);
}

void wipe(std::span<char> text) {
  sodium_memzero(text.data(), text.size());
}

}  // namespace gantry::access
