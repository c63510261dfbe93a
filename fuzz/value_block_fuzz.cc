// Any bytes as a value block and as an integer block of any length: no read past the end, and what
// decodes comes back from its own encoding bit by bit. The first two bytes are the count.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "metrics/encoding/value_block.h"
#include "storage/encoding/integer_block.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

template <class T, class Decode, class Encode>
void round_trip(std::span<const std::byte> bytes, std::size_t count, Decode decode, Encode encode) {
  std::vector<T> values(count);
  if (!decode(bytes, std::span<T>(values))) return;
  std::vector<std::byte> encoded;
  encode(std::span<const T>(values), encoded);
  std::vector<T> again(count);
  require(decode(encoded, std::span<T>(again)).has_value());
  require(count == 0 || std::memcmp(values.data(), again.data(), count * sizeof(T)) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t count = data[0] | static_cast<std::size_t>(data[1] & 0x0f) << 8;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
  round_trip<double>(bytes, count, gantry::metrics::decode_values, gantry::metrics::encode_values);
  round_trip<std::int64_t>(bytes, count, gantry::storage::decode_integers,
                           gantry::storage::encode_integers);
  return 0;
}
