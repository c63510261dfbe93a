#include "gateway/text_pieces.h"

#include <optional>
#include <utility>

#include "core/utf8.h"
#include "gateway/character_class.h"

namespace gantry::gateway {
namespace {

/// The text's end has no class, and is like none.
struct Character {
  std::optional<CharacterClass> character_class;
  char first_byte = '\0';
  std::size_t end = 0;

  [[nodiscard]] bool is(CharacterClass wanted) const { return character_class == wanted; }

  [[nodiscard]] bool is_letter() const {
    return is(CharacterClass::Upper) || is(CharacterClass::Lower) ||
           is(CharacterClass::OtherLetter);
  }

  [[nodiscard]] bool is_line_break() const {
    return is(CharacterClass::Space) && (first_byte == '\r' || first_byte == '\n');
  }

  /// [^\s\p{L}\p{N}]
  [[nodiscard]] bool is_symbol() const {
    return is(CharacterClass::Other) || is(CharacterClass::Mark);
  }

  /// [^\r\n\p{L}\p{N}]: what may stand before a word.
  [[nodiscard]] bool is_prefix() const {
    return is_symbol() || (is(CharacterClass::Space) && !is_line_break());
  }

  /// [\p{Lm}\p{Lo}\p{M}]: of words in capitals and of those in small letters.
  [[nodiscard]] bool is_caseless() const {
    return is(CharacterClass::OtherLetter) || is(CharacterClass::Mark);
  }
};

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  /// '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|
  /// \s++$|\s*[\r\n]|\s+(?!\S)|\s
  [[nodiscard]] std::size_t end_cl100k(std::size_t begin) const {
    const std::size_t contraction = skip_contraction(begin);
    if (contraction != begin) return contraction;
    const Character first = at(begin);
    const std::size_t word = first.is_prefix() ? first.end : begin;
    if (const std::size_t end = skip_letters(word); end != word) return end;
    if (first.is(CharacterClass::Number)) return skip_numbers(begin);
    if (const auto end = symbols_end(begin, first, "\r\n")) return *end;
    const Spaces spaces = spaces_at(begin);
    return spaces.end == text_.size() ? spaces.end : spaces_end(begin, spaces);
  }

  /// P?U*W+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|P?U+W*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|
  ///  ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
  /// where P is [^\r\n\p{L}\p{N}], U [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and W
  /// [\p{Ll}\p{Lm}\p{Lo}\p{M}].
  [[nodiscard]] std::size_t end_o200k(std::size_t begin) const {
    const Character first = at(begin);
    // Marks are both a prefix and part of a word: without the prefix is the second try of each.
    if (first.is_prefix()) {
      if (const auto end = small_word_end(first.end)) return skip_contraction(*end);
    }
    if (const auto end = small_word_end(begin)) return skip_contraction(*end);
    if (first.is_prefix()) {
      if (const auto end = capitals_end(first.end)) return skip_contraction(*end);
    }
    if (const auto end = capitals_end(begin)) return skip_contraction(*end);
    if (first.is(CharacterClass::Number)) return skip_numbers(begin);
    if (const auto end = symbols_end(begin, first, "\r\n/")) return *end;
    return spaces_end(begin, spaces_at(begin));
  }

 private:
  /// A run of white space.
  struct Spaces {
    std::size_t end = 0;
    std::size_t last_begin = 0;       ///< Of its last character.
    std::size_t line_breaks_end = 0;  ///< Behind its last line break; 0: it has none.
  };

  [[nodiscard]] Character at(std::size_t position) const {
    if (position == text_.size()) return {.end = position};
    Character character{.first_byte = text_[position], .end = position};
    character.character_class = classify_character(core::next_code_point(text_, character.end));
    return character;
  }

  [[nodiscard]] std::size_t skip_letters(std::size_t position) const {
    for (Character next = at(position); next.is_letter(); next = at(position)) position = next.end;
    return position;
  }

  /// At most three.
  [[nodiscard]] std::size_t skip_numbers(std::size_t position) const {
    constexpr int kNumbersMax = 3;
    for (int i = 0; i < kNumbersMax; ++i) {
      const Character next = at(position);
      if (!next.is(CharacterClass::Number)) break;
      position = next.end;
    }
    return position;
  }

  /// (?i:'s|'t|'re|'ve|'m|'ll|'d): `position` if there is none.
  [[nodiscard]] std::size_t skip_contraction(std::size_t position) const {
    const std::string_view rest = text_.substr(position);
    if (rest.size() < 2 || rest[0] != '\'') return position;
    const auto lower = [&](std::size_t i) {
      const char c = i < rest.size() ? rest[i] : '\0';
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char first = lower(1);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return position + 2;
    const bool is_pair = (first == 'r' && lower(2) == 'e') || (first == 'v' && lower(2) == 'e') ||
                         (first == 'l' && lower(2) == 'l');
    if (is_pair) return position + 3;
    // U+017F is an s to whoever does not look at case.
    constexpr std::string_view kLongS = "\xc5\xbf";
    if (rest.substr(1).starts_with(kLongS)) return position + 1 + kLongS.size();
    return position;
  }

  /// U*W+
  [[nodiscard]] std::optional<std::size_t> small_word_end(std::size_t position) const {
    // U* takes all it can and then gives back up to a character that W has too.
    std::optional<std::size_t> last_caseless_end;
    Character next = at(position);
    for (; next.is(CharacterClass::Upper) || next.is_caseless(); next = at(next.end)) {
      if (next.is_caseless()) last_caseless_end = next.end;
    }
    if (!next.is(CharacterClass::Lower)) return last_caseless_end;
    std::size_t end = next.end;
    for (next = at(end); next.is(CharacterClass::Lower) || next.is_caseless(); next = at(end)) {
      end = next.end;
    }
    return end;
  }

  /// U+W* where U*W+ does not match: no small letter follows, nor is there a character of both.
  [[nodiscard]] std::optional<std::size_t> capitals_end(std::size_t position) const {
    const std::size_t begin = position;
    for (Character next = at(position); next.is(CharacterClass::Upper); next = at(position)) {
      position = next.end;
    }
    if (position == begin) return std::nullopt;
    return position;
  }

  ///  ?[^\s\p{L}\p{N}]+[\r\n]*, or what may follow instead of line breaks.
  [[nodiscard]] std::optional<std::size_t> symbols_end(std::size_t begin, const Character& first,
                                                       std::string_view followers) const {
    std::size_t position = first.first_byte == ' ' ? first.end : begin;
    if (!at(position).is_symbol()) return std::nullopt;
    for (Character next = at(position); next.is_symbol(); next = at(position)) position = next.end;
    while (position < text_.size() && followers.contains(text_[position])) ++position;
    return position;
  }

  [[nodiscard]] Spaces spaces_at(std::size_t position) const {
    Spaces spaces{.end = position, .last_begin = position};
    for (Character next = at(position); next.is(CharacterClass::Space); next = at(spaces.end)) {
      spaces.last_begin = spaces.end;
      spaces.end = next.end;
      if (next.is_line_break()) spaces.line_breaks_end = next.end;
    }
    return spaces;
  }

  /// \s*[\r\n]+|\s+(?!\S)|\s+: the last space before a word is that word's.
  [[nodiscard]] std::size_t spaces_end(std::size_t begin, const Spaces& spaces) const {
    if (spaces.line_breaks_end != 0) return spaces.line_breaks_end;
    if (spaces.end == text_.size() || spaces.last_begin == begin) return spaces.end;
    return spaces.last_begin;
  }

  std::string_view text_;
};

}  // namespace

std::size_t piece_end(Encoding encoding, std::string_view text, std::size_t begin) {
  switch (encoding) {
    case Encoding::Cl100kBase:
      return Splitter(text).end_cl100k(begin);
    case Encoding::O200kBase:
      return Splitter(text).end_o200k(begin);
  }
  std::unreachable();
}

}  // namespace gantry::gateway
