#include "access/password.h"

#include <algorithm>
#include <array>
#include <thread>
#include <unordered_set>

#include <fmt/core.h>
#include <sodium.h>

#include "access/common_passwords_internal.h"
#include "core/mutex.h"

namespace gantry::access {
namespace {

constexpr std::size_t kAtOnceMax = 4;  // 256 MiB
constexpr std::size_t kAffixMax = 4;   // "password123!" is still "password"

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

const std::unordered_set<std::string_view>& common_passwords() {
  static const std::unordered_set<std::string_view> words = [] {
    std::unordered_set<std::string_view> made;
    std::string_view rest = common_password_lines();
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      if (end > 0) made.insert(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return made;
  }();
  return words;
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
}

/// The word inside digits and signs, when those are few.
std::string_view core_word(std::string_view password) {
  const auto first = std::ranges::find_if(password, is_letter);
  const std::size_t before = static_cast<std::size_t>(first - password.begin());
  std::string_view word = password.substr(before);
  while (!word.empty() && !is_letter(word.back())) word.remove_suffix(1);
  return password.size() - word.size() <= kAffixMax ? word : password;
}

}  // namespace

/// Who may compute now. First come, first served is not promised, only that the queue is short.
struct PasswordHasher::Turns {
  explicit Turns(std::size_t free_count) : free(free_count) {}

  Result<void> take(std::size_t queue_max) {
    core::Lock lock(mutex);
    if (free == 0 && waiting >= queue_max)
      return fail(Code::ResourceExhausted, "too many sign-ins at once, try again in a few seconds");
    ++waiting;
    while (free == 0) wake.wait(lock);
    --waiting;
    --free;
    return {};
  }

  void give_back() {
    {
      const core::Lock lock(mutex);
      ++free;
    }
    wake.notify_one();
  }

  core::Mutex mutex;
  core::ConditionVariable wake;
  std::size_t free GANTRY_GUARDED_BY(mutex);
  std::size_t waiting GANTRY_GUARDED_BY(mutex) = 0;
};

namespace {

/// Gives a turn back when it goes.
template <class Turns>
class HeldTurn {
 public:
  explicit HeldTurn(Turns& turns) : turns_(turns) {}

  ~HeldTurn() { turns_.give_back(); }

  HeldTurn(const HeldTurn&) = delete;
  HeldTurn& operator=(const HeldTurn&) = delete;

 private:
  Turns& turns_;
};

}  // namespace

PasswordHasher::PasswordHasher(Options options) : options_(options) {
  std::size_t at_once = options.at_once_max;
  if (at_once == 0)
    at_once = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kAtOnceMax);
  turns_ = std::make_unique<Turns>(at_once);
}

PasswordHasher::~PasswordHasher() = default;

Result<std::string> PasswordHasher::hash(std::string_view password) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax)
    return fail(Code::InvalidArgument,
                fmt::format("a password has {} to {} bytes, this one has {}", kPasswordBytesMin,
                            kPasswordBytesMax, password.size()));
  GANTRY_CHECK(turns_->take(options_.queue_max));
  const HeldTurn turn(*turns_);
  std::array<char, crypto_pwhash_argon2id_STRBYTES> text{};
  if (crypto_pwhash_argon2id_str(text.data(), password.data(), password.size(), options_.passes,
                                 options_.memory_bytes) != 0)
    return fail(Code::Internal, "hashing a password: not enough memory");
  return std::string(text.data());
}

Result<bool> PasswordHasher::verify(std::string_view password, const std::string& hash) {
  if (password.size() > kPasswordBytesMax) return false;
  GANTRY_CHECK(turns_->take(options_.queue_max));
  const HeldTurn turn(*turns_);
  return crypto_pwhash_argon2id_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

Result<void> PasswordHasher::verify_nobody(std::string_view password) {
  GANTRY_CHECK(turns_->take(options_.queue_max));
  const HeldTurn turn(*turns_);
  std::array<unsigned char, 32> tag{};
  static constexpr std::array<unsigned char, crypto_pwhash_argon2id_SALTBYTES> kSalt{};
  const std::string_view bounded = password.substr(0, kPasswordBytesMax);
  static_cast<void>(crypto_pwhash_argon2id(tag.data(), tag.size(), bounded.data(), bounded.size(),
                                           kSalt.data(), options_.passes, options_.memory_bytes,
                                           crypto_pwhash_argon2id_ALG_ARGON2ID13));
  return {};
}

bool PasswordHasher::is_outdated(const std::string& hash) const {
  return crypto_pwhash_argon2id_str_needs_rehash(hash.c_str(), options_.passes,
                                                 options_.memory_bytes) != 0;
}

Result<void> check_new_password(std::string_view password,
                                std::span<const std::string> context_words) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax)
    return fail(Code::InvalidArgument,
                fmt::format("a password has {} to {} bytes, this one has {}", kPasswordBytesMin,
                            kPasswordBytesMax, password.size()));
  const std::string lower = lower_case(password);
  const std::string_view word = core_word(lower);
  if (common_passwords().contains(lower) || common_passwords().contains(word))
    return fail(Code::InvalidArgument,
                "this password is among the first that others would try: choose another one");
  const bool is_context =
      word == "gantry" || std::ranges::any_of(context_words, [&](const auto& c) {
        const std::string context = lower_case(c);
        return !context.empty() && (word == context || lower == context);
      });
  if (is_context)
    return fail(Code::InvalidArgument,
                "a password must not be the name of the user, the organisation or this server");
  return {};
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
