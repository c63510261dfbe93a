// keyring.json: what is accepted reads back as itself.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "access/secret_key.h"
#include "access/secrets/keyring.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  static const bool is_ready = access::prepare_cryptography().has_value();
  GANTRY_ASSERT(is_ready, "libsodium starts");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(access::Keyring::of_one_key(text));
  const auto keyring = access::Keyring::parse(text);
  if (!keyring) return 0;
  const access::Secret formatted = keyring->format();
  const auto again = access::Keyring::parse(formatted.view());
  GANTRY_ASSERT(again && again->format().view() == formatted.view(), "keyrings read back");
  GANTRY_ASSERT(again->active().id == keyring->active().id, "with the same active key");
  return 0;
}
