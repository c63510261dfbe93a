#include "codec/message_builder.h"

namespace gantry::codec {
namespace {

enum class WireType : std::uint8_t { Varint = 0, Fixed64 = 1, LengthDelimited = 2 };

std::uint64_t tag_of(std::uint32_t field, WireType type) {
  return std::uint64_t{field} << 3 | static_cast<std::uint64_t>(type);
}

}  // namespace

FieldWriter::~FieldWriter() {
  if (parent_ != nullptr) parent_->write_bytes(field_, own_);
}

void FieldWriter::append_varint(std::uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

void FieldWriter::write_varint(std::uint32_t field, std::uint64_t value) {
  append_varint(tag_of(field, WireType::Varint));
  append_varint(value);
}

void FieldWriter::write_fixed64(std::uint32_t field, std::uint64_t value) {
  append_varint(tag_of(field, WireType::Fixed64));
  for (int shift = 0; shift < 64; shift += 8) out_.push_back(static_cast<char>(value >> shift));
}

void FieldWriter::write_bytes(std::uint32_t field, std::string_view bytes) {
  append_varint(tag_of(field, WireType::LengthDelimited));
  append_varint(bytes.size());
  out_.append(bytes);
}

}  // namespace gantry::codec
