#pragma once

// Reads JSON in place, strictly (RFC 8259 with UTF-8 checked), and says where each value's bytes
// are, so that a document can be changed without being written anew.
//
//   JsonReader json(body);
//   json.object([&](const JsonMember& member) {
//     if (member.key == "model") model = json.string();
//   });
//   if (!json.finish()) return fail(Code::InvalidArgument, json.error_text());
//
// A value that the callback leaves alone is skipped, and so is one of another kind than the one
// asked for. The first error stops everything: kind() is then None, loops end, reads give nothing.
// One pass, no allocation apart from decoded strings. Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gantry::gateway {

enum class JsonKind : std::uint8_t { None, Null, Bool, Number, String, Array, Object };

/// Bytes [begin, end) of a text.
struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  [[nodiscard]] std::string_view of(std::string_view text) const {
    return text.substr(begin, end - begin);
  }
};

struct JsonMember {
  std::string_view key;       ///< Without escapes; valid until the reader reads on.
  std::size_t key_begin = 0;  ///< Its opening quote.
  std::optional<std::size_t> comma_before;
};

class JsonReader {
 public:
  static constexpr std::size_t kDepthMax = 128;

  /// `text` outlives the reader.
  explicit JsonReader(std::string_view text, std::size_t depth_max = kDepthMax)
      : text_(text), depth_max_(depth_max) {}

  /// Of the value that comes next.
  [[nodiscard]] JsonKind kind();

  /// Where the next value (or the rest) begins: passes white space.
  [[nodiscard]] std::size_t position();

  /// Where the value that was read last ends, until kind() or position() is asked for.
  [[nodiscard]] std::size_t value_end() const { return position_; }

  /// False if the value was no object or broken.
  template <class OnMember>
  bool object(OnMember&& on_member) {
    if (!enter('{')) return false;
    bool is_first = true;
    JsonMember member;
    while (next_member(is_first, member)) {
      const std::size_t value_begin = position_;
      on_member(member);
      if (position_ == value_begin) skip();
    }
    return !has_failed();
  }

  /// The callback takes nothing.
  template <class OnElement>
  bool array(OnElement&& on_element) {
    if (!enter('[')) return false;
    bool is_first = true;
    while (next_element(is_first)) {
      const std::size_t value_begin = position_;
      on_element();
      if (position_ == value_begin) skip();
    }
    return !has_failed();
  }

  /// The value's bytes.
  ByteRange skip();

  [[nodiscard]] std::optional<std::string> string();

  /// Appends the string without escapes; false if it was none. A lone surrogate becomes U+FFFD.
  bool append_string(std::string& out);

  [[nodiscard]] std::optional<bool> boolean();

  /// A number whose value is an integer of 64 bits, however it is written (1e3); else nothing.
  [[nodiscard]] std::optional<std::int64_t> integer();

  /// Nothing for a number that no double holds.
  [[nodiscard]] std::optional<double> number();

  /// True if the text held one value and nothing is left but white space.
  [[nodiscard]] bool finish();

  [[nodiscard]] bool has_failed() const { return error_ != nullptr; }

  /// "line 1, column 12: expected ':' after a key". Lines and columns count from 1, columns in
  /// bytes. "" without an error.
  [[nodiscard]] std::string error_text() const;

 private:
  bool fail_at(std::size_t position, const char* why);
  void skip_space();
  bool enter(char opening);
  bool next_member(bool& is_first, JsonMember& member);
  bool next_element(bool& is_first);
  bool scan_string(bool& has_escapes);
  bool scan_escape();
  bool scan_number();
  bool scan_digits(const char* why);
  bool scan_literal(std::string_view literal);

  [[nodiscard]] char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  std::string_view text_;
  std::size_t depth_max_;
  std::size_t position_ = 0;
  std::size_t depth_ = 0;
  const char* error_ = nullptr;
  std::size_t error_position_ = 0;
  std::string key_;
};

/// What a JSON string between its quotes means. `raw` was read by a JsonReader.
void append_unescaped(std::string& out, std::string_view raw);

}  // namespace gantry::gateway
