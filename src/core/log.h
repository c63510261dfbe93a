#pragma once

// Structured logs: an event in lower case and past tense, and typed fields.
//
//   log::info("wal replayed", {{"segments", n}, {"took_ms", ms}});
//
// One line per event to standard error, logfmt by default or JSON. Values are escaped, never
// interpreted. Nothing that is a secret may be passed here. Thread-safe.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace gantry::log {

enum class Level : std::uint8_t { Debug, Info, Warn, Error };
enum class Format : std::uint8_t { Logfmt, Json };

/// A field's value. Strings are borrowed for the call.
class Value {
 public:
  Value(std::string_view v)
      : value_(v) {}  // NOLINT(google-explicit-constructor): a field list reads as data

  Value(const std::string& v)
      : value_(std::string_view(v)) {}  // NOLINT(google-explicit-constructor): as above

  Value(const char* v)
      : value_(std::string_view(v)) {}  // NOLINT(google-explicit-constructor): as above

  Value(bool v) : value_(v) {}  // NOLINT(google-explicit-constructor): as above

  Value(double v) : value_(v) {}  // NOLINT(google-explicit-constructor): as above

  template <std::signed_integral T>
  Value(T v)
      : value_(static_cast<std::int64_t>(v)) {}  // NOLINT(google-explicit-constructor): as above

  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Value(T v)
      : value_(static_cast<std::uint64_t>(v)) {}  // NOLINT(google-explicit-constructor): as above

  using Variant = std::variant<std::string_view, bool, double, std::int64_t, std::uint64_t>;

  [[nodiscard]] const Variant& variant() const { return value_; }

 private:
  Variant value_;
};

struct Field {
  std::string_view key;
  Value value;
};

using Fields = std::initializer_list<Field>;

/// Sets the least level and the format of every later line. Call before threads start.
void configure(Level level, Format format);

[[nodiscard]] bool is_enabled(Level level);

void write(Level level, std::string_view event, Fields fields);

inline void debug(std::string_view event, Fields fields = {}) {
  if (is_enabled(Level::Debug)) write(Level::Debug, event, fields);
}

inline void info(std::string_view event, Fields fields = {}) {
  write(Level::Info, event, fields);
}

inline void warn(std::string_view event, Fields fields = {}) {
  write(Level::Warn, event, fields);
}

inline void error(std::string_view event, Fields fields = {}) {
  write(Level::Error, event, fields);
}

/// One line as it would be written, without the newline. For tests.
[[nodiscard]] std::string render(Format format, Level level, std::int64_t unix_ms,
                                 std::string_view event, Fields fields);

}  // namespace gantry::log
