#include "core/utf8.h"

#include <cstring>

namespace gantry::core {
namespace {

constexpr char32_t kReplacement = 0xfffd;

/// Decodes one code point; false for anything that is not well-formed UTF-8 (RFC 3629: no
/// surrogates, no overlong forms).
bool decode(std::string_view text, std::size_t& position, char32_t& code_point) {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte_at(position);
  if (first < 0x80) {
    code_point = first;
    ++position;
    return true;
  }
  std::size_t length = 0;
  char32_t smallest = 0;
  if ((first & 0xe0) == 0xc0) {
    length = 2;
    smallest = 0x80;
    code_point = first & 0x1f;
  } else if ((first & 0xf0) == 0xe0) {
    length = 3;
    smallest = 0x800;
    code_point = first & 0x0f;
  } else if ((first & 0xf8) == 0xf0) {
    length = 4;
    smallest = 0x10000;
    code_point = first & 0x07;
  } else {
    return false;
  }
  if (text.size() - position < length) return false;
  for (std::size_t i = 1; i < length; ++i) {
    const unsigned char next = byte_at(position + i);
    if ((next & 0xc0) != 0x80) return false;
    code_point = (code_point << 6) | (next & 0x3fU);
  }
  if (code_point < smallest || code_point > 0x10ffff) return false;
  if (code_point >= 0xd800 && code_point <= 0xdfff) return false;
  position += length;
  return true;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  std::size_t position = 0;
  char32_t code_point = 0;
  while (position < text.size()) {
    // Nearly all text is ASCII: eight bytes at a time.
    std::uint64_t word = 0;
    if (text.size() - position >= sizeof(word)) {
      std::memcpy(&word, text.data() + position, sizeof(word));
      if ((word & 0x8080808080808080U) == 0) {
        position += sizeof(word);
        continue;
      }
    }
    if (!decode(text, position, code_point)) return false;
  }
  return true;
}

char32_t next_code_point(std::string_view text, std::size_t& position) {
  char32_t code_point = 0;
  if (decode(text, position, code_point)) return code_point;
  ++position;
  return kReplacement;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto append = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xc0 | (code_point >> 6));
    append(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    append(0xe0 | (code_point >> 12));
    append(0x80 | ((code_point >> 6) & 0x3f));
    append(0x80 | (code_point & 0x3f));
  } else {
    append(0xf0 | (code_point >> 18));
    append(0x80 | ((code_point >> 12) & 0x3f));
    append(0x80 | ((code_point >> 6) & 0x3f));
    append(0x80 | (code_point & 0x3f));
  }
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return count;
}

}  // namespace gantry::core
