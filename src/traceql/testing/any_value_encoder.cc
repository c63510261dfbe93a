#include "traceql/testing/any_value_encoder.h"

#include <bit>
#include <cstdint>

namespace gantry::traceql::testing {

namespace {

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_bytes(std::string& out, char tag, const std::string& bytes) {
  out += tag;
  put_varint(out, bytes.size());
  out += bytes;
}

}  // namespace

std::string encode_scalar(const Static& value) {
  std::string out;
  switch (value.type) {
    case StaticType::String:
      put_bytes(out, '\x0A', value.text);
      break;
    case StaticType::Bool:
      out += '\x10';
      out += value.boolean ? '\x01' : '\x00';
      break;
    case StaticType::Float: {
      out += '\x21';
      const auto bits = std::bit_cast<std::uint64_t>(value.number);
      for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(bits >> shift);
      break;
    }
    default:
      out += '\x18';
      put_varint(out, static_cast<std::uint64_t>(value.integer));
      break;
  }
  return out;
}

std::string encode_array(std::span<const Static> elements) {
  std::string array;
  for (const Static& element : elements) put_bytes(array, '\x0A', encode_scalar(element));
  std::string out;
  put_bytes(out, '\x2A', array);
  return out;
}

}  // namespace gantry::traceql::testing
