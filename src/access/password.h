#pragma once

// Passwords of people: Argon2id. Slow on purpose (about 0.1 s, 64 MiB): on a worker, never on an
// I/O thread.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::access {

inline constexpr std::size_t kPasswordBytesMin = 8;
inline constexpr std::size_t kPasswordBytesMax = 1024;

/// Thread-safe. A few hashes are computed at once and a few callers wait for their turn, so that
/// sign-ins cannot use up the machine's memory.
class PasswordHasher {
 public:
  struct Options {
    std::size_t memory_bytes = 64 << 20;
    std::uint64_t passes = 2;
    std::size_t at_once_max = 0;  ///< 0: as many as cores, at most four.
    std::size_t queue_max = 32;   ///< Waiting for one of those; one more is refused.
  };

  explicit PasswordHasher(Options options);
  ~PasswordHasher();
  PasswordHasher(const PasswordHasher&) = delete;
  PasswordHasher& operator=(const PasswordHasher&) = delete;

  /// A PHC string ("$argon2id$v=19$m=65536,t=2,p=1$…"). Errors: InvalidArgument (not 8 to 1024
  /// bytes), ResourceExhausted (too many at once), Internal (no memory).
  [[nodiscard]] Result<std::string> hash(std::string_view password);

  /// The bytes exactly as they were hashed. False too for a text that is no PHC string, which
  /// costs nothing: see verify_nobody. Errors: ResourceExhausted.
  [[nodiscard]] Result<bool> verify(std::string_view password, const std::string& hash);

  /// As long as verify, for a user who does not exist or has no password. Errors:
  /// ResourceExhausted.
  [[nodiscard]] Result<void> verify_nobody(std::string_view password);

  /// Made with other parameters than these: to be made again when the password is at hand.
  [[nodiscard]] bool is_outdated(const std::string& hash) const;

 private:
  struct Turns;

  Options options_;
  std::unique_ptr<Turns> turns_;
};

/// What people may choose. Errors (InvalidArgument, with a sentence for the person): not 8 to 1024
/// bytes; among the most common ones; or one of `context_words` (the login, the organisation, the
/// host name). A common word with up to four digits or signs around it counts as that word.
[[nodiscard]] Result<void> check_new_password(std::string_view password,
                                              std::span<const std::string> context_words);

/// 24 letters and digits: 142 bits.
[[nodiscard]] std::string make_password();

}  // namespace gantry::access
