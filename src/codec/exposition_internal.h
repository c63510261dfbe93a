#pragma once

// What the writers of exposition formats share: names that a client may not take, lines of text,
// and what it says it accepts.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/exposition.h"
#include "telemetry/labels.h"

namespace gantry::codec {

enum class QuoteEscape : std::uint8_t { No, Yes };

/// Backslashes and line feeds escaped, double quotes too if asked.
void append_escaped(std::string& out, std::string_view text, QuoteEscape quotes);

/// The name as `escaping` allows it, without quotes.
[[nodiscard]] std::string escaped_metric_name(std::string_view name, NameEscaping escaping);
[[nodiscard]] std::string escaped_label_name(std::string_view name, NameEscaping escaping);

/// Appends an escaped metric name as it stands in a TYPE line: quoted where it is not legacy-valid.
void append_metric_name(std::string& out, std::string_view name);

/// Appends name{labels}, or {"name",labels} for a name that is not legacy-valid. Names have been
/// escaped. `for_each` calls its argument with each label's name and value.
template <class ForEach>
void append_series(std::string& out, std::string_view name, ForEach for_each) {
  bool has_brace = !telemetry::is_legacy_metric_name(name);
  if (has_brace) out.push_back('{');
  append_metric_name(out, name);
  for_each([&](std::string_view label, std::string_view value) {
    out += has_brace ? "," : "{";
    has_brace = true;
    if (telemetry::is_legacy_label_name(label)) {
      out += label;
    } else {
      out.push_back('"');
      append_escaped(out, label, QuoteEscape::Yes);
      out.push_back('"');
    }
    out += "=\"";
    append_escaped(out, value, QuoteEscape::Yes);
    out.push_back('"');
  });
  if (has_brace) out.push_back('}');
}

/// One media range of an Accept header; views into it.
struct AcceptedType {
  std::string_view media_type;
  std::string_view version;
  std::string_view proto;
  std::string_view encoding;
  double weight = 1;
  std::optional<NameEscaping> escaping;
};

/// The media ranges of `accept` with a weight above 0, the greatest first. One that names no
/// escaping has that of the one before.
[[nodiscard]] std::vector<AcceptedType> accepted_types(std::string_view accept);

/// Whether text 0.0.4 is an answer to it.
[[nodiscard]] bool accepts_text(const AcceptedType& type);

/// `; escaping=…`, for the end of a Content-Type.
[[nodiscard]] std::string escaping_parameter(NameEscaping escaping);

}  // namespace gantry::codec
