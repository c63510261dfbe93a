#pragma once

// A TraceQL value: what literals are, what attributes hold, what expressions give.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::traceql {

enum class StaticType : std::uint8_t {
  Nil,
  Int,
  Float,
  String,
  Bool,
  Duration,  ///< Nanoseconds.
  Status,    ///< telemetry::SpanStatus.
  Kind,      ///< telemetry::SpanKind.
  IntArray,
  FloatArray,
  StringArray,
  BoolArray,
};

/// As errors write it: "TypeNil", "TypeInt", …
[[nodiscard]] std::string_view static_type_text(StaticType type);

struct Static {
  StaticType type = StaticType::Nil;
  std::int64_t integer = 0;  ///< Of Int, Duration, Status and Kind.
  double number = 0;         ///< Of Float.
  bool boolean = false;
  std::string text;
  std::vector<Static> elements;  ///< Of the arrays.

  [[nodiscard]] static Static nil() { return {}; }

  [[nodiscard]] static Static of_int(std::int64_t value);
  [[nodiscard]] static Static of_float(double value);
  [[nodiscard]] static Static of_string(std::string value);
  [[nodiscard]] static Static of_bool(bool value);
  [[nodiscard]] static Static of_duration(std::int64_t nanoseconds);
  [[nodiscard]] static Static of_status(std::uint8_t status);
  [[nodiscard]] static Static of_kind(std::uint8_t kind);

  /// Same type and value; NaN equals NaN. Grouping tells 1 from 1.0 by it.
  friend bool operator==(const Static& a, const Static& b);
};

/// As queries write it: `text` in backticks, durations as Go prints them ("1h30m0s"), floats with
/// at least one decimal ("1000.0").
[[nodiscard]] std::string format_static(const Static& value);

/// 0s, 1.5s, 1h30m0s: time.Duration.String of Go.
[[nodiscard]] std::string format_go_duration(std::int64_t nanoseconds);

/// "error", "ok", "unset"; "unspecified", "internal", "server", …
[[nodiscard]] std::string_view status_text(std::uint8_t status);
[[nodiscard]] std::string_view kind_text(std::uint8_t kind);

}  // namespace gantry::traceql
