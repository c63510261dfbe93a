#pragma once

// Appends JSON to a string without building a tree: for answers that may be megabytes.
//
//   core::JsonWriter json(out);
//   json.begin_object();
//   json.key("status").string("success");
//   json.end_object();
//
// Commas are placed by the writer; nesting is the caller's (asserted in debug builds). Not
// thread-safe.

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace gantry::core {

enum class HtmlEscape : std::uint8_t { No, Yes };

/// Appends `text` as a JSON string with quotes. Control characters are escaped; invalid UTF-8
/// becomes U+FFFD. With HtmlEscape::Yes also <, > and & (as Go's encoding/json does).
void append_json_string(std::string& out, std::string_view text, HtmlEscape html = HtmlEscape::No);

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& string(std::string_view text, HtmlEscape html = HtmlEscape::No);
  JsonWriter& number(double value);  ///< Finite numbers; others become null.
  JsonWriter& integer(std::int64_t value);
  JsonWriter& integer(std::uint64_t value);
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  /// Already JSON.
  JsonWriter& raw(std::string_view json);

  template <std::integral T>
  JsonWriter& integer(T value) {
    if constexpr (std::signed_integral<T>)
      return integer(static_cast<std::int64_t>(value));
    else
      return integer(static_cast<std::uint64_t>(value));
  }

 private:
  void before_value();

  std::string& out_;
  bool needs_comma_ = false;
};

}  // namespace gantry::core
