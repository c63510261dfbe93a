#include "gateway/json_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "core/utf8.h"

namespace gantry::gateway {
namespace {

constexpr char32_t kReplacement = 0xfffd;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// True if none of the eight bytes ends a plain run of a string: quote, backslash, control
/// character, or a byte that is not ASCII.
bool is_plain(const char* bytes) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  const std::uint64_t quote = word ^ (kOnes * static_cast<unsigned char>('"'));
  const std::uint64_t backslash = word ^ (kOnes * static_cast<unsigned char>('\\'));
  const std::uint64_t marks = word | (word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes);
  return (marks & kHighs) == 0;
}

/// Four hexadecimal digits that were checked before.
char32_t read_unit(std::string_view digits) {
  char32_t unit = 0;
  for (const char c : digits.substr(0, 4)) {
    unit = (unit << 4U) | static_cast<char32_t>(hex_digit(c));
  }
  return unit;
}

bool is_high_surrogate(char32_t unit) {
  return unit >= 0xd800 && unit < 0xdc00;
}

bool is_low_surrogate(char32_t unit) {
  return unit >= 0xdc00 && unit < 0xe000;
}

/// Appends the escape at the start of `raw` (a backslash) and returns its length.
std::size_t append_escape(std::string& out, std::string_view raw) {
  static constexpr std::string_view kNames = "bfnrt";
  static constexpr std::string_view kValues = "\b\f\n\r\t";
  const char c = raw[1];
  if (c != 'u') {
    const std::size_t i = kNames.find(c);
    out.push_back(i == std::string_view::npos ? c : kValues[i]);
    return 2;
  }
  const char32_t unit = read_unit(raw.substr(2));
  if (is_high_surrogate(unit) && raw.size() >= 12 && raw[6] == '\\' && raw[7] == 'u') {
    const char32_t low = read_unit(raw.substr(8));
    if (is_low_surrogate(low)) {
      core::append_utf8(out, 0x10000 + ((unit - 0xd800) << 10U) + (low - 0xdc00));
      return 12;
    }
  }
  const bool is_surrogate = is_high_surrogate(unit) || is_low_surrogate(unit);
  core::append_utf8(out, is_surrogate ? kReplacement : unit);
  return 6;
}

}  // namespace

void append_unescaped(std::string& out, std::string_view raw) {
  while (!raw.empty()) {
    const std::size_t plain = std::min(raw.find('\\'), raw.size());
    out.append(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (!raw.empty()) raw.remove_prefix(append_escape(out, raw));
  }
}

bool JsonReader::fail_at(std::size_t position, const char* why) {
  if (error_ != nullptr) return false;
  error_ = why;
  error_position_ = position;
  return false;
}

void JsonReader::skip_space() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
    ++position_;
  }
}

std::size_t JsonReader::position() {
  skip_space();
  return position_;
}

JsonKind JsonReader::kind() {
  if (has_failed()) return JsonKind::None;
  skip_space();
  const char c = peek();
  switch (c) {
    case '{':
      return JsonKind::Object;
    case '[':
      return JsonKind::Array;
    case '"':
      return JsonKind::String;
    case 't':
    case 'f':
      return JsonKind::Bool;
    case 'n':
      return JsonKind::Null;
    default:
      return c == '-' || is_digit(c) ? JsonKind::Number : JsonKind::None;
  }
}

bool JsonReader::enter(char opening) {
  const JsonKind wanted = opening == '{' ? JsonKind::Object : JsonKind::Array;
  if (kind() != wanted) {
    skip();
    return false;
  }
  if (depth_ == depth_max_) return fail_at(position_, "nested too deeply");
  ++depth_;
  ++position_;
  return true;
}

bool JsonReader::next_member(bool& is_first, JsonMember& member) {
  if (has_failed()) return false;
  skip_space();
  if (peek() == '}') {
    ++position_;
    --depth_;
    return false;
  }
  member.comma_before.reset();
  if (!is_first) {
    if (peek() != ',') return fail_at(position_, "expected ',' or '}' after a member");
    member.comma_before = position_++;
    skip_space();
  }
  is_first = false;
  if (peek() != '"') return fail_at(position_, "expected a key in quotes");
  member.key_begin = position_;
  bool has_escapes = false;
  if (!scan_string(has_escapes)) return false;
  member.key = text_.substr(member.key_begin + 1, position_ - member.key_begin - 2);
  if (has_escapes) {
    key_.clear();
    append_unescaped(key_, member.key);
    member.key = key_;
  }
  skip_space();
  if (peek() != ':') return fail_at(position_, "expected ':' after a key");
  ++position_;
  skip_space();
  return true;
}

bool JsonReader::next_element(bool& is_first) {
  if (has_failed()) return false;
  skip_space();
  if (peek() == ']') {
    ++position_;
    --depth_;
    return false;
  }
  if (!is_first) {
    if (peek() != ',') return fail_at(position_, "expected ',' or ']' after an element");
    ++position_;
    skip_space();
    if (peek() == ']') return fail_at(position_, "expected a value after ','");
  }
  is_first = false;
  return true;
}

ByteRange JsonReader::skip() {
  const JsonKind next = kind();
  const std::size_t begin = position_;
  bool has_escapes = false;
  switch (next) {
    case JsonKind::Object:
      object([](const JsonMember&) {});
      break;
    case JsonKind::Array:
      array([] {});
      break;
    case JsonKind::String:
      scan_string(has_escapes);
      break;
    case JsonKind::Number:
      scan_number();
      break;
    case JsonKind::Bool:
      scan_literal(peek() == 't' ? "true" : "false");
      break;
    case JsonKind::Null:
      scan_literal("null");
      break;
    case JsonKind::None:
      fail_at(position_, position_ < text_.size() ? "expected a value" : "unexpected end");
      break;
  }
  return {begin, position_};
}

bool JsonReader::scan_string(bool& has_escapes) {
  const std::size_t begin = position_++;
  while (true) {
    while (text_.size() - position_ >= sizeof(std::uint64_t) && is_plain(&text_[position_])) {
      position_ += sizeof(std::uint64_t);
    }
    if (position_ == text_.size()) return fail_at(begin, "string without an end");
    const auto c = static_cast<unsigned char>(text_[position_]);
    if (c == '"') {
      ++position_;
      return true;
    }
    if (c == '\\') {
      has_escapes = true;
      if (!scan_escape()) return false;
    } else if (c < 0x20) {
      return fail_at(position_, "control character in a string");
    } else if (c < 0x80) {
      ++position_;
    } else {
      const std::size_t at = position_;
      const char32_t code_point = core::next_code_point(text_, position_);
      if (code_point == kReplacement && position_ == at + 1) return fail_at(at, "invalid UTF-8");
    }
  }
}

bool JsonReader::scan_escape() {
  static constexpr std::string_view kEscapes = "\"\\/bfnrtu";
  const std::size_t begin = position_++;
  if (position_ == text_.size()) return fail_at(begin, "unexpected end");
  const char c = text_[position_++];
  if (kEscapes.find(c) == std::string_view::npos) return fail_at(begin, "unknown escape");
  if (c != 'u') return true;
  for (int i = 0; i < 4; ++i, ++position_) {
    if (position_ == text_.size() || hex_digit(text_[position_]) < 0) {
      return fail_at(begin, "expected four hexadecimal digits after \\u");
    }
  }
  return true;
}

bool JsonReader::scan_digits(const char* why) {
  if (!is_digit(peek())) return fail_at(position_, why);
  while (is_digit(peek())) ++position_;
  return true;
}

bool JsonReader::scan_number() {
  const std::size_t begin = position_;
  if (peek() == '-') ++position_;
  const bool is_zero = peek() == '0';
  const std::size_t digits_begin = position_;
  if (!scan_digits("expected a digit after '-'")) return false;
  if (is_zero && position_ - digits_begin > 1) return fail_at(begin, "number with a leading zero");
  if (peek() == '.') {
    ++position_;
    if (!scan_digits("expected a digit after '.'")) return false;
  }
  if (peek() == 'e' || peek() == 'E') {
    ++position_;
    if (peek() == '+' || peek() == '-') ++position_;
    if (!scan_digits("expected a digit in the exponent")) return false;
  }
  return true;
}

bool JsonReader::scan_literal(std::string_view literal) {
  if (!text_.substr(position_).starts_with(literal)) return fail_at(position_, "expected a value");
  position_ += literal.size();
  return true;
}

bool JsonReader::append_string(std::string& out) {
  const bool is_string = kind() == JsonKind::String;
  const ByteRange range = skip();
  if (!is_string || has_failed()) return false;
  append_unescaped(out, text_.substr(range.begin + 1, range.end - range.begin - 2));
  return true;
}

std::optional<std::string> JsonReader::string() {
  std::string value;
  if (!append_string(value)) return std::nullopt;
  return value;
}

std::optional<bool> JsonReader::boolean() {
  const bool is_bool = kind() == JsonKind::Bool;
  const std::string_view value = skip().of(text_);
  if (!is_bool || has_failed()) return std::nullopt;
  return value == "true";
}

std::optional<std::int64_t> JsonReader::integer() {
  const bool is_number = kind() == JsonKind::Number;
  const std::string_view digits = skip().of(text_);
  if (!is_number || has_failed()) return std::nullopt;
  const char* const end = digits.data() + digits.size();
  std::int64_t value = 0;
  if (const auto parsed = std::from_chars(digits.data(), end, value);
      parsed.ec == std::errc() && parsed.ptr == end) {
    return value;
  }
  double number = 0;
  const auto parsed = std::from_chars(digits.data(), end, number);
  // Beyond 2^53 a double says nothing about the last digits.
  constexpr double kExactMax = 9007199254740992.0;
  if (parsed.ec != std::errc() || std::trunc(number) != number || std::abs(number) > kExactMax) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(number);
}

std::optional<double> JsonReader::number() {
  const bool is_number = kind() == JsonKind::Number;
  const std::string_view digits = skip().of(text_);
  if (!is_number || has_failed()) return std::nullopt;
  double value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (parsed.ec != std::errc()) return std::nullopt;
  return value;
}

bool JsonReader::finish() {
  if (has_failed()) return false;
  skip_space();
  return position_ == text_.size() || fail_at(position_, "unexpected text after the end");
}

std::string JsonReader::error_text() const {
  if (error_ == nullptr) return {};
  const std::string_view before = text_.substr(0, error_position_);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0.
  return fmt::format("line {}, column {}: {}", line, error_position_ - line_begin + 1, error_);
}

}  // namespace gantry::gateway
