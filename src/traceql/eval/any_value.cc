#include "traceql/eval/any_value.h"

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace gantry::traceql {

namespace {

// Field numbers of AnyValue and ArrayValue.
constexpr std::uint32_t kStringValue = 1;
constexpr std::uint32_t kBoolValue = 2;
constexpr std::uint32_t kIntValue = 3;
constexpr std::uint32_t kDoubleValue = 4;
constexpr std::uint32_t kArrayValue = 5;
constexpr std::uint32_t kArrayElement = 1;

enum class WireType : std::uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::Varint;
  std::uint64_t scalar = 0;  ///< Of Varint and Fixed64.
  std::string_view bytes;    ///< Of Bytes.
};

/// Reads a message field by field. `is_valid` turns false where the bytes are no message.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool is_valid() const { return is_valid_; }

  std::optional<WireField> next() {
    if (rest_.empty() || !is_valid_) return std::nullopt;
    const std::uint64_t tag = read_varint();
    WireField field;
    field.number = static_cast<std::uint32_t>(tag >> 3);
    field.type = static_cast<WireType>(tag & 7);
    switch (field.type) {
      case WireType::Varint:
        field.scalar = read_varint();
        break;
      case WireType::Fixed64: {
        const std::string_view bytes = read_bytes(8);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
          field.scalar |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
        }
        break;
      }
      case WireType::Bytes:
        field.bytes = read_bytes(read_varint());
        break;
      case WireType::Fixed32:
        static_cast<void>(read_bytes(4));
        break;
      default:
        is_valid_ = false;
        break;
    }
    if (!is_valid_) return std::nullopt;
    return field;
  }

 private:
  std::uint64_t read_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    is_valid_ = false;
    return 0;
  }

  std::string_view read_bytes(std::uint64_t count) {
    if (count > rest_.size()) {
      is_valid_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  std::string_view rest_;
  bool is_valid_ = true;
};

std::optional<StaticType> array_of(StaticType element) {
  switch (element) {
    case StaticType::Int:
      return StaticType::IntArray;
    case StaticType::Float:
      return StaticType::FloatArray;
    case StaticType::String:
      return StaticType::StringArray;
    case StaticType::Bool:
      return StaticType::BoolArray;
    default:
      return std::nullopt;
  }
}

enum class Nesting : std::uint8_t { Value, Element };

Static decode(std::string_view bytes, Nesting nesting);

Static decode_array(std::string_view bytes) {
  Static array;
  array.type = StaticType::StringArray;
  WireReader reader(bytes);
  while (const std::optional<WireField> field = reader.next()) {
    if (field->number != kArrayElement || field->type != WireType::Bytes) continue;
    Static element = decode(field->bytes, Nesting::Element);
    const std::optional<StaticType> type = array_of(element.type);
    if (!type || (!array.elements.empty() && *type != array.type)) return Static::nil();
    array.type = *type;
    array.elements.push_back(std::move(element));
  }
  return reader.is_valid() ? array : Static::nil();
}

Static decode(std::string_view bytes, Nesting nesting) {
  Static value;
  WireReader reader(bytes);
  // The fields are one oneof: the last one counts.
  while (const std::optional<WireField> field = reader.next()) {
    if (field->number == kStringValue && field->type == WireType::Bytes) {
      value = Static::of_string(std::string(field->bytes));
    } else if (field->number == kBoolValue && field->type == WireType::Varint) {
      value = Static::of_bool(field->scalar != 0);
    } else if (field->number == kIntValue && field->type == WireType::Varint) {
      value = Static::of_int(static_cast<std::int64_t>(field->scalar));
    } else if (field->number == kDoubleValue && field->type == WireType::Fixed64) {
      value = Static::of_float(std::bit_cast<double>(field->scalar));
    } else if (field->number == kArrayValue && field->type == WireType::Bytes &&
               nesting == Nesting::Value) {
      value = decode_array(field->bytes);
    } else {
      value = Static::nil();
    }
  }
  return reader.is_valid() ? value : Static::nil();
}

}  // namespace

Static decode_any_value(std::string_view bytes) {
  return decode(bytes, Nesting::Value);
}

}  // namespace gantry::traceql
