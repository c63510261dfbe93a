#include "access/password.h"

#include <array>
#include <semaphore>

#include <fmt/core.h>
#include <sodium.h>

namespace gantry::access {
namespace {

constexpr unsigned long long kPasses = 2;
constexpr std::size_t kMemoryBytes = 64 << 20;
constexpr std::size_t kPasswordBytesMin = 8;
constexpr std::size_t kPasswordBytesMax = 1024;
constexpr std::ptrdiff_t kAtOnceMax = 4;  // 256 MiB at most: sign-ins must not be a memory bomb

std::counting_semaphore<kAtOnceMax>& slots() {
  static std::counting_semaphore<kAtOnceMax> semaphore(kAtOnceMax);
  return semaphore;
}

class Slot {
 public:
  Slot() { slots().acquire(); }

  ~Slot() { slots().release(); }

  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
};

}  // namespace

Result<std::string> hash_password(std::string_view password) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax)
    return fail(Code::InvalidArgument,
                fmt::format("a password has {} to {} bytes, this one has {}", kPasswordBytesMin,
                            kPasswordBytesMax, password.size()));
  const Slot slot;
  std::array<char, crypto_pwhash_argon2id_STRBYTES> hash{};
  if (crypto_pwhash_argon2id_str(hash.data(), password.data(), password.size(), kPasses,
                                 kMemoryBytes) != 0)
    return fail(Code::Internal, "hashing a password: not enough memory (64 MiB)");
  return std::string(hash.data());
}

bool verify_password(std::string_view password, const std::string& hash) {
  if (password.size() > kPasswordBytesMax) return false;
  const Slot slot;
  return crypto_pwhash_argon2id_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

std::string make_password() {
  static constexpr std::string_view kAlphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string password(24, '\0');
  for (char& c : password)
    c = kAlphabet[randombytes_uniform(static_cast<std::uint32_t>(kAlphabet.size()))];
  return password;
}

}  // namespace gantry::access
