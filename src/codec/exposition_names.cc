// Names in exposition formats, and the Accept header that decides about them.

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "codec/exposition_internal.h"
#include "core/number_format.h"
#include "core/utf8.h"

namespace gantry::codec {

namespace {

struct EscapingWord {
  NameEscaping escaping;
  std::string_view word;
};

constexpr std::array kEscapingWords = {EscapingWord{NameEscaping::Underscores, "underscores"},
                                       EscapingWord{NameEscaping::AllowUtf8, "allow-utf-8"},
                                       EscapingWord{NameEscaping::Dots, "dots"},
                                       EscapingWord{NameEscaping::Values, "values"}};

enum class Colons : std::uint8_t { Replaced, Kept };

/// What stands for a character that may not be where it is.
void append_replacement(std::string& out, char32_t character, NameEscaping escaping) {
  switch (escaping) {
    case NameEscaping::Underscores:
      out += "_";
      return;
    case NameEscaping::Dots:
      out += character == U'.' ? "_dot_" : "__";
      return;
    case NameEscaping::Values:
      fmt::format_to(std::back_inserter(out), "_{:x}_", static_cast<std::uint32_t>(character));
      return;
    case NameEscaping::AllowUtf8:
      core::append_utf8(out, character);
      return;
  }
}

/// A name that is not legacy-valid.
std::string escaped(std::string_view name, NameEscaping escaping, Colons colons) {
  std::string out = escaping == NameEscaping::Values ? "U__" : "";
  const std::string_view underscore = escaping == NameEscaping::Underscores ? "_" : "__";
  for (std::size_t i = 0; i < name.size();) {
    const char c = name[i];
    const bool is_kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c == ':' && colons == Colons::Kept) || (c >= '0' && c <= '9' && i > 0);
    if (c == '_') {
      out += underscore;
      ++i;
    } else if (is_kept) {
      out.push_back(c);
      ++i;
    } else {
      append_replacement(out, core::next_code_point(name, i), escaping);
    }
  }
  return out;
}

/// Nothing for a word that is not known, which counts for nothing.
std::optional<NameEscaping> find_escaping(std::string_view word) {
  const auto known = std::ranges::find(kEscapingWords, word, &EscapingWord::word);
  if (known == kEscapingWords.end()) return std::nullopt;
  return known->escaping;
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

/// Takes the first media range off `accept`, which must not be empty.
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
    } else if (key == "escaping") {
      type.escaping = find_escaping(value);
    } else if (key == "q") {
      type.weight = core::parse_float(value).value_or(0);
    }
  }
  return type;
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
  const bool stays = escaping == NameEscaping::AllowUtf8 || telemetry::is_legacy_metric_name(name);
  return stays ? std::string(name) : escaped(name, escaping, Colons::Kept);
}

std::string escaped_label_name(std::string_view name, NameEscaping escaping) {
  const bool stays = escaping == NameEscaping::AllowUtf8 || telemetry::is_legacy_label_name(name);
  return stays ? std::string(name) : escaped(name, escaping, Colons::Replaced);
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

std::vector<AcceptedType> accepted_types(std::string_view accept) {
  std::vector<AcceptedType> types;
  while (!accept.empty()) {
    const AcceptedType type = take_accepted_type(accept);
    if (type.weight > 0) types.push_back(type);
  }
  std::ranges::stable_sort(types, std::ranges::greater(), &AcceptedType::weight);
  std::optional<NameEscaping> escaping;
  for (AcceptedType& type : types) {
    if (type.escaping) escaping = type.escaping;
    type.escaping = escaping;
  }
  return types;
}

bool accepts_text(const AcceptedType& type) {
  return (type.media_type == "text/plain" &&
          (type.version.empty() || type.version == "0.0.4" || type.version == "1.0.0")) ||
         type.media_type == "*/*" || type.media_type == "text/*";
}

std::string escaping_parameter(NameEscaping escaping) {
  const auto known = std::ranges::find(kEscapingWords, escaping, &EscapingWord::escaping);
  return "; escaping=" + std::string(known->word);
}

}  // namespace gantry::codec
