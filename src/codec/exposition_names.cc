// Names in exposition formats, and the Accept header that decides about them.

#include <algorithm>

#include "codec/exposition_internal.h"
#include "core/number_format.h"
#include "core/utf8.h"

namespace gantry::codec {

namespace {

enum class Colons : std::uint8_t { Replaced, Kept };

/// Each character that may not be at its place becomes one underscore.
std::string underscored(std::string_view name, Colons colons) {
  std::string out;
  for (std::size_t i = 0; i < name.size();) {
    const char c = name[i];
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                           (c == ':' && colons == Colons::Kept);
    const bool is_kept = is_letter || (c >= '0' && c <= '9' && i > 0);
    out.push_back(is_kept ? c : '_');
    if (is_kept || static_cast<unsigned char>(c) < 0x80) {
      ++i;
    } else {
      static_cast<void>(core::next_code_point(name, i));
    }
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The next piece of `text` up to `separator`, which both are taken off.
std::string_view take_piece(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view piece = trim(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return piece;
}

}  // namespace

void append_escaped(std::string& out, std::string_view text, QuoteEscape quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes == QuoteEscape::Yes) {
      out += "\\\"";
    } else {
      out.push_back(c);
    }
  }
}

std::string escaped_metric_name(std::string_view name, NameEscaping escaping) {
  if (escaping == NameEscaping::AllowUtf8) return std::string(name);
  return underscored(name, Colons::Kept);
}

std::string escaped_label_name(std::string_view name, NameEscaping escaping) {
  if (escaping == NameEscaping::AllowUtf8) return std::string(name);
  return underscored(name, Colons::Replaced);
}

void append_metric_name(std::string& out, std::string_view name) {
  if (telemetry::is_legacy_metric_name(name)) {
    out += name;
    return;
  }
  out.push_back('"');
  append_escaped(out, name, QuoteEscape::Yes);
  out.push_back('"');
}

AcceptedType take_accepted_type(std::string_view& accept) {
  std::string_view text = take_piece(accept, ',');
  AcceptedType type;
  type.media_type = take_piece(text, ';');
  while (!text.empty()) {
    std::string_view value = take_piece(text, ';');
    const std::string_view key = take_piece(value, '=');
    if (key == "version") {
      type.version = value;
    } else if (key == "proto") {
      type.proto = value;
    } else if (key == "encoding") {
      type.encoding = value;
    } else if (key == "escaping" && value == "allow-utf-8") {
      type.escaping = NameEscaping::AllowUtf8;
    } else if (key == "q") {
      type.weight = core::parse_float(value).value_or(0);
    }
  }
  return type;
}

bool accepts_text(const AcceptedType& type) {
  return (type.media_type == "text/plain" &&
          (type.version.empty() || type.version == "0.0.4" || type.version == "1.0.0")) ||
         type.media_type == "*/*" || type.media_type == "text/*";
}

std::string_view escaping_parameter(NameEscaping escaping) {
  return escaping == NameEscaping::AllowUtf8 ? "; escaping=allow-utf-8" : "; escaping=underscores";
}

}  // namespace gantry::codec
