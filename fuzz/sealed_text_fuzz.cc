// Sealed values as the database holds them: one text each, and none opens that was not sealed.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "access/secrets/sealed_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  static const access::Secret key = access::Secret::random(access::kSealKeyBytes);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto sealed = access::parse_sealed(text);
  if (!sealed) return 0;
  GANTRY_ASSERT(access::format_sealed(*sealed) == text, "each value has one text");
  GANTRY_ASSERT(!access::open_sealed(*sealed, key, "fuzz"), "nobody knows the key");
  return 0;
}
