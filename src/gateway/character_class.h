#pragma once

// Unicode's general categories, as far as tokenizers tell characters apart by them.

#include <cstdint>

namespace gantry::gateway {

enum class CharacterClass : std::uint8_t {
  Upper,        ///< Lu, Lt
  Lower,        ///< Ll
  OtherLetter,  ///< Lm, Lo: letters without case
  Mark,         ///< Mn, Mc, Me
  Number,       ///< Nd, Nl, No
  Space,        ///< White_Space
  Other,
};

/// `code_point` is at most 0x10ffff.
[[nodiscard]] CharacterClass classify_character(char32_t code_point);

}  // namespace gantry::gateway
