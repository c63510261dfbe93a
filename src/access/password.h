#pragma once

// Passwords of people: Argon2id. Slow on purpose (about 0.1 s, 64 MiB): on a worker, never on an
// I/O thread.

#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::access {

/// A PHC string ("$argon2id$v=19$m=65536,t=2,p=1$…"). At most four hashes are computed at once; a
/// caller beyond that waits. Errors: InvalidArgument (not 8 to 1024 bytes), Internal (no memory).
[[nodiscard]] Result<std::string> hash_password(std::string_view password);

/// False too for a text that is no PHC string. Waits as hash_password does.
[[nodiscard]] bool verify_password(std::string_view password, const std::string& hash);

/// 24 letters and digits: 142 bits.
[[nodiscard]] std::string make_password();

}  // namespace gantry::access
