// Request bodies in every encoding: the first byte chooses. The limit must hold.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codec/compression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto encoding = static_cast<codec::Encoding>(data[0] % 6);
  constexpr std::size_t kLimit = 1 << 16;
  std::string out;
  const auto result = codec::decompress(encoding, body, {.bytes = kLimit}, out);
  GANTRY_ASSERT(out.size() <= kLimit, "the limit holds");
  GANTRY_ASSERT(!result || out.capacity() >= out.size() + codec::kBodyPaddingBytes,
                "bodies are padded");
  return 0;
}
