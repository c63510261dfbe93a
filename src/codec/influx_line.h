#pragma once

// The grammar of Influx line protocol (influxdata/line-protocol, strict): points as they are
// written, before any mapping.
//
//   InfluxLineParser parser(body, {}, arena);
//   InfluxPoint point;                       // reused: its vectors keep their memory
//   while (true) {
//     GANTRY_TRY(const bool has_point, parser.next(point));
//     if (!has_point) break;
//     …
//   }

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/arena.h"
#include "core/error.h"

namespace gantry::codec {

/// No string value and no measurement, tags and field key together may be longer.
inline constexpr std::size_t kInfluxStringBytesMax = 64 << 10;
inline constexpr std::size_t kInfluxKeyBytesMax = 65535;

enum class InfluxValueKind : std::uint8_t { Float, Integer, Unsigned, Boolean, String };

struct InfluxValue {
  InfluxValueKind kind = InfluxValueKind::Float;
  double number = 0;                   ///< Float, and the others as doubles; 0 for String.
  std::int64_t integer = 0;            ///< Integer; Boolean as 0 or 1.
  std::uint64_t unsigned_integer = 0;  ///< Unsigned.
  std::string_view raw_string;         ///< String: between the quotes, escapes as written.
};

struct InfluxTag {
  std::string_view key;
  std::string_view value;
};

struct InfluxField {
  std::string_view key;
  InfluxValue value;
};

/// Views into the body, or into the arena where an escape had to be taken out.
struct InfluxPoint {
  std::string_view measurement;
  std::vector<InfluxTag> tags;            ///< In the order written; keys are unique.
  std::vector<InfluxField> fields;        ///< Keys are unique: of repeated ones the last is kept.
  std::optional<std::int64_t> timestamp;  ///< In the request's unit.
  std::string_view raw_series;            ///< Measurement and tags as written.
};

struct InfluxGrammar {
  /// VictoriaMetrics: an empty measurement is legal, a tag without value is dropped.
  bool is_lax = false;
};

/// Takes escapes out of a string value.
[[nodiscard]] std::string unescape_influx_string(std::string_view raw);

/// Not thread-safe. Body and arena must outlive the points.
class InfluxLineParser {
 public:
  InfluxLineParser(std::string_view body, InfluxGrammar grammar, core::Arena& arena);

  /// Reads the next point, passing over blank lines and comments; false at the end. Errors:
  /// InvalidArgument `line 3: missing field value: "cpu v="`; the parser then stands behind that
  /// line, so that the caller may go on.
  Result<bool> next(InfluxPoint& point);

  /// Reads only measurement and tags from what `raw_series` held.
  Result<void> parse_series(InfluxPoint& point);

 private:
  enum class Element : std::uint8_t { Measurement, Key };

  [[nodiscard]] bool at_end() const { return position_ == body_.size(); }

  [[nodiscard]] char peek() const { return body_[position_]; }

  [[nodiscard]] bool at_line_end() const;
  void skip_spaces();
  void end_line();
  void skip_bad_line();
  const char* skip_comment();

  std::string_view take(Element element);
  const char* parse_point(InfluxPoint& point);
  const char* parse_measurement_and_tags(InfluxPoint& point);
  const char* parse_tag(InfluxPoint& point);
  const char* parse_field(InfluxPoint& point);
  const char* parse_value(InfluxValue& value);
  const char* parse_string(InfluxValue& value);
  const char* parse_timestamp(InfluxPoint& point);

  std::string_view body_;
  InfluxGrammar grammar_;
  core::Arena& arena_;
  bool is_utf8_;
  std::size_t position_ = 0;
  std::size_t point_begin_ = 0;
  std::uint64_t line_ = 1;
  std::uint64_t line_feeds_in_strings_ = 0;  ///< Of the current point.
  std::vector<std::uint32_t> order_;
};

}  // namespace gantry::codec
