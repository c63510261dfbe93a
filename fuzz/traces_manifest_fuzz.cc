// Any bytes as a traces manifest. The checksum is made right, so that the fuzzer gets past it.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "core/hash.h"
#include "traces/block/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::traces;
  const auto given = std::as_bytes(std::span(data, size));
  std::vector<std::byte> bytes(given.begin(), given.end());
  const std::uint32_t checksum = gantry::core::crc32c(bytes);
  bytes.resize(size + sizeof checksum);
  std::memcpy(bytes.data() + size, &checksum, sizeof checksum);
  const auto manifest = decode_manifest(bytes);
  if (!manifest) return 0;
  std::vector<std::byte> again;
  encode_manifest(*manifest, again);
  if (!decode_manifest(again)) std::abort();
  return 0;
}
