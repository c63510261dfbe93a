#include "codec/influx_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include <fmt/format.h>

#include "codec/series_labels.h"
#include "core/number_format.h"
#include "core/utf8.h"

namespace gantry::codec {

namespace {

constexpr std::size_t kExcerptCharacters = 64;
/// Up to here keys are compared pairwise; beyond, their order is sorted.
constexpr std::size_t kPairwiseKeysMax = 16;

// What ends an element, by byte.
enum : std::uint8_t {
  kControl = 1,    // 0x00-0x1f, 0x7f: never inside measurement or key
  kSeparator = 2,  // space, comma
  kEquals = 4,
  kBackslash = 8,
};

constexpr std::array<std::uint8_t, 256> kByteClass = [] {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t i = 0; i < 0x20; ++i) table[i] = kControl;
  table[0x7f] = kControl;
  table[' '] = kSeparator;
  table[','] = kSeparator;
  table['='] = kEquals;
  table['\\'] = kBackslash;
  return table;
}();

std::uint8_t byte_class(char c) {
  return kByteClass[static_cast<unsigned char>(c)];
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The first `characters` code points of `text`.
std::string first_characters(std::string_view text, std::size_t characters) {
  std::size_t position = 0;
  for (std::size_t i = 0; i < characters && position < text.size(); ++i) {
    static_cast<void>(core::next_code_point(text, position));
  }
  return std::string(text.substr(0, position));
}

std::string_view skip_digits(std::string_view text) {
  while (!text.empty() && is_digit(text.front())) text.remove_prefix(1);
  return text;
}

/// ["-"] ( 1*DIGIT ["." *DIGIT] | "." 1*DIGIT ) [ ("e"|"E") ["+"|"-"] 1*DIGIT ]
bool is_float_text(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t whole = text.size();
  text = skip_digits(text);
  bool has_digits = text.size() < whole;
  if (text.starts_with('.')) {
    const std::size_t fraction = text.size() - 1;
    text = skip_digits(text.substr(1));
    has_digits |= text.size() < fraction;
  }
  if (!has_digits) return false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (text.empty()) return false;
    text = skip_digits(text);
  }
  return text.empty();
}

template <class Integer>
const char* parse_integer(std::string_view text, Integer& value, const char* what) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || !skip_digits(digits).empty()) return what;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return "number out of range";
  return error == std::errc() && end == text.data() + text.size() ? nullptr : what;
}

const char* parse_boolean(std::string_view text, InfluxValue& value) {
  value.kind = InfluxValueKind::Boolean;
  for (const std::string_view word : {"t", "T", "true", "True", "TRUE"}) {
    if (text == word) {
      value.integer = 1;
      value.number = 1;
      return nullptr;
    }
  }
  for (const std::string_view word : {"f", "F", "false", "False", "FALSE"}) {
    if (text == word) return nullptr;
  }
  return "invalid boolean";
}

const char* parse_number(std::string_view text, InfluxValue& value) {
  const char last = text.back();
  if (last == 'i') {
    value.kind = InfluxValueKind::Integer;
    const char* error =
        parse_integer(text.substr(0, text.size() - 1), value.integer, "invalid integer");
    value.number = static_cast<double>(value.integer);
    return error;
  }
  if (last == 'u') {
    value.kind = InfluxValueKind::Unsigned;
    const char* error = parse_integer(text.substr(0, text.size() - 1), value.unsigned_integer,
                                      "invalid unsigned integer");
    value.number = static_cast<double>(value.unsigned_integer);
    return error;
  }
  value.kind = InfluxValueKind::Float;
  if (!is_float_text(text)) return "invalid number";
  const auto number = core::parse_float(text);
  if (!number) return "number out of range";
  value.number = *number;
  return nullptr;
}

/// Whether two items of `items` have the same key; `order` is scratch.
template <class Item>
bool has_repeated_key(const std::vector<Item>& items, std::vector<std::uint32_t>& order) {
  if (items.size() <= kPairwiseKeysMax) {
    for (std::size_t i = 1; i < items.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (items[i].key == items[j].key) return true;
      }
    }
    return false;
  }
  order.resize(items.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto key = [&](std::uint32_t i) { return items[i].key; };
  std::ranges::sort(order, {}, key);
  return std::ranges::adjacent_find(order, {}, key) != order.end();
}

/// Of fields with the same key the last one counts.
void keep_last_of_repeated(std::vector<InfluxField>& fields) {
  std::vector<InfluxField> kept;
  std::vector<std::uint32_t> order(fields.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    const int compared = fields[a].key.compare(fields[b].key);
    return compared != 0 ? compared < 0 : a < b;
  });
  std::vector<std::uint32_t> last;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool is_last = i + 1 == order.size() || fields[order[i]].key != fields[order[i + 1]].key;
    if (is_last) last.push_back(order[i]);
  }
  std::ranges::sort(last);
  kept.reserve(last.size());
  for (const std::uint32_t i : last) kept.push_back(fields[i]);
  fields = std::move(kept);
}

}  // namespace

std::string unescape_influx_string(std::string_view raw) {
  std::string text;
  text.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      text.push_back(raw[i]);
      continue;
    }
    switch (raw[++i]) {
      case '"':
      case '\\':
        text.push_back(raw[i]);
        break;
      case 'n':
        text.push_back('\n');
        break;
      case 'r':
        text.push_back('\r');
        break;
      case 't':
        text.push_back('\t');
        break;
      default:
        text.push_back('\\');
        text.push_back(raw[i]);
    }
  }
  return text;
}

InfluxLineParser::InfluxLineParser(std::string_view body, InfluxGrammar grammar, core::Arena& arena)
    : body_(body), grammar_(grammar), arena_(arena), is_utf8_(core::is_valid_utf8(body)) {}

bool InfluxLineParser::at_line_end() const {
  if (at_end()) return true;
  if (peek() == '\n') return true;
  return peek() == '\r' && (position_ + 1 == body_.size() || body_[position_ + 1] == '\n');
}

void InfluxLineParser::skip_spaces() {
  while (!at_end() && peek() == ' ') ++position_;
}

/// Past the line feed that `at_line_end` saw.
void InfluxLineParser::end_line() {
  if (!at_end() && peek() == '\r') ++position_;
  if (at_end()) return;
  ++position_;
  ++line_;
}

void InfluxLineParser::skip_bad_line() {
  position_ = point_begin_;
  const std::size_t line_feed = body_.find('\n', position_);
  position_ = line_feed == std::string_view::npos ? body_.size() : line_feed + 1;
  ++line_;
}

const char* InfluxLineParser::skip_comment() {
  while (!at_line_end()) {
    if (byte_class(peek()) == kControl && peek() != '\t') return "control character in a comment";
    ++position_;
  }
  return nullptr;
}

/// Hot: per element. The longest run of characters that may be part of it, escapes taken out; the
/// position then is at the character that ended it.
std::string_view InfluxLineParser::take(Element element) {
  const std::uint8_t enders =
      element == Element::Key ? kControl | kSeparator | kEquals : kControl | kSeparator;
  const std::uint8_t escapable = element == Element::Key ? kSeparator | kEquals : kSeparator;
  const std::size_t begin = position_;
  bool has_escapes = false;
  while (!at_end()) {
    const std::uint8_t found = byte_class(peek());
    if ((found & enders) != 0) break;
    // A backslash is an escape only directly before a character that needs one.
    if (found == kBackslash && position_ + 1 < body_.size() &&
        (byte_class(body_[position_ + 1]) & escapable) != 0) {
      has_escapes = true;
      ++position_;
    }
    ++position_;
  }
  const std::string_view raw = body_.substr(begin, position_ - begin);
  if (!has_escapes) return raw;
  char* const plain = arena_.allocate(raw.size());
  std::size_t size = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\\' && i + 1 < raw.size() && (byte_class(raw[i + 1]) & escapable) != 0) ++i;
    plain[size++] = raw[i];
  }
  return {plain, size};
}

const char* InfluxLineParser::parse_tag(InfluxPoint& point) {
  if (at_line_end()) return "missing tag key";
  if (peek() == ' ') return "space after comma";
  const std::string_view key = take(Element::Key);
  if (key.empty()) return "missing tag key";
  if (at_end() || peek() != '=') return "missing '=' after tag key";
  ++position_;
  const std::string_view value = take(Element::Key);
  if (value.empty() && !grammar_.is_lax) return "missing tag value";
  if (!at_line_end() && byte_class(peek()) != kSeparator) return "invalid character in tag value";
  if (!value.empty()) point.tags.push_back({key, value});
  return nullptr;
}

const char* InfluxLineParser::parse_measurement_and_tags(InfluxPoint& point) {
  const std::size_t begin = position_;
  point.tags.clear();
  point.measurement = take(Element::Measurement);
  if (point.measurement.empty() && (!grammar_.is_lax || at_line_end() || peek() != ',')) {
    return "missing measurement";
  }
  if (!at_line_end() && byte_class(peek()) != kSeparator) {
    return "invalid character in measurement";
  }
  while (!at_end() && peek() == ',') {
    ++position_;
    if (const char* error = parse_tag(point)) return error;
  }
  point.raw_series = body_.substr(begin, position_ - begin);
  if (has_repeated_key(point.tags, order_)) return "duplicate tags";
  return nullptr;
}

const char* InfluxLineParser::parse_string(InfluxValue& value) {
  value.kind = InfluxValueKind::String;
  const std::size_t begin = ++position_;
  while (!at_end() && peek() != '"') {
    // Whatever follows a backslash does not end the string.
    if (peek() == '\\' && position_ + 1 < body_.size()) ++position_;
    if (peek() == '\n') ++line_feeds_in_strings_;
    ++position_;
  }
  if (at_end()) return "unbalanced quotes";
  value.raw_string = body_.substr(begin, position_ - begin);
  ++position_;
  if (value.raw_string.size() > kInfluxStringBytesMax)
    return "string value longer than 65536 bytes";
  return nullptr;
}

const char* InfluxLineParser::parse_value(InfluxValue& value) {
  if (at_line_end() || byte_class(peek()) == kSeparator) return "missing field value";
  if (peek() == '"') return parse_string(value);
  const std::size_t begin = position_;
  while (!at_line_end() && byte_class(peek()) != kSeparator) ++position_;
  const std::string_view text = body_.substr(begin, position_ - begin);
  const char first = text.front();
  if (is_digit(first) || first == '-' || first == '.') return parse_number(text, value);
  if (first == 't' || first == 'T' || first == 'f' || first == 'F') {
    return parse_boolean(text, value);
  }
  return "invalid field value";
}

const char* InfluxLineParser::parse_field(InfluxPoint& point) {
  if (at_line_end()) return "missing field key";
  if (peek() == ' ') return "space after comma";
  InfluxField& field = point.fields.emplace_back();
  field.key = take(Element::Key);
  if (field.key.empty()) return "missing field key";
  if (point.raw_series.size() + field.key.size() > kInfluxKeyBytesMax) {
    return "max key length exceeded: measurement, tags and field key are limited to 65535 bytes";
  }
  if (at_end() || peek() != '=') return "missing '=' after field key";
  ++position_;
  if (const char* error = parse_value(field.value)) return error;
  if (!at_line_end() && byte_class(peek()) != kSeparator) return "invalid field format";
  return nullptr;
}

const char* InfluxLineParser::parse_timestamp(InfluxPoint& point) {
  point.timestamp.reset();
  skip_spaces();
  if (at_line_end()) return nullptr;
  const std::size_t begin = position_;
  while (!at_line_end() && peek() != ' ') ++position_;
  std::int64_t timestamp = 0;
  if (const char* error =
          parse_integer(body_.substr(begin, position_ - begin), timestamp, "bad timestamp")) {
    return error;
  }
  point.timestamp = timestamp;
  skip_spaces();
  return at_line_end() ? nullptr : "bytes after the timestamp";
}

const char* InfluxLineParser::parse_point(InfluxPoint& point) {
  if (const char* error = parse_measurement_and_tags(point)) return error;
  point.fields.clear();
  skip_spaces();
  if (at_line_end()) return "missing fields";
  do {
    if (const char* error = parse_field(point)) return error;
  } while (!at_end() && peek() == ',' && ++position_ > 0);
  if (const char* error = parse_timestamp(point)) return error;
  if (has_repeated_key(point.fields, order_)) keep_last_of_repeated(point.fields);
  return nullptr;
}

Result<bool> InfluxLineParser::next(InfluxPoint& point) {
  while (true) {
    skip_spaces();
    if (at_end()) return false;
    if (at_line_end()) {
      end_line();
      continue;
    }
    point_begin_ = position_;
    line_feeds_in_strings_ = 0;
    const bool is_comment = peek() == '#';
    const char* error = is_comment ? skip_comment() : parse_point(point);
    const std::string_view text = body_.substr(point_begin_, position_ - point_begin_);
    if (error == nullptr && !is_utf8_ && !core::is_valid_utf8(text)) error = "invalid UTF-8";
    if (error != nullptr) {
      const std::string_view rest = body_.substr(point_begin_);
      const std::string_view bad_line = rest.substr(0, rest.find_first_of("\r\n"));
      auto failure =
          fail(Code::InvalidArgument, fmt::format("line {}: {}: \"{}\"", line_, error,
                                                  first_characters(bad_line, kExcerptCharacters)));
      skip_bad_line();
      return failure;
    }
    line_ += line_feeds_in_strings_;
    end_line();
    if (!is_comment) return true;
  }
}

Result<void> InfluxLineParser::parse_series(InfluxPoint& point) {
  if (const char* error = parse_measurement_and_tags(point)) {
    return fail(Code::InvalidArgument, error);
  }
  return {};
}

}  // namespace gantry::codec
