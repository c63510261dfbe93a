#include "telemetry/labels.h"

#include <algorithm>

#include "core/utf8.h"

namespace gantry::telemetry {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_name_part(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9');
}

void append_label(std::string& out, const Label& label) {
  if (is_legacy_label_name(label.name)) {
    out += label.name;
  } else {
    append_go_quoted(out, label.name);
  }
  out.push_back('=');
  append_go_quoted(out, label.value);
}

void append_hex(std::string& out, char32_t value, int digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    out.push_back(kDigits[(value >> shift) & 0xf]);
  }
}

}  // namespace

Labels make_labels(std::vector<Label> labels) {
  std::stable_sort(labels.begin(), labels.end(),
                   [](const Label& a, const Label& b) { return a.name < b.name; });
  Labels out;
  out.reserve(labels.size());
  for (Label& label : labels) {
    if (!out.empty() && out.back().name == label.name) {
      out.back().value = std::move(label.value);
    } else {
      out.push_back(std::move(label));
    }
  }
  std::erase_if(out, [](const Label& label) { return label.value.empty(); });
  return out;
}

std::string_view find_label(std::span<const Label> labels, std::string_view name) {
  for (const Label& label : labels) {
    if (label.name == name) return label.value;
  }
  return {};
}

int compare_labels(std::span<const Label> a, std::span<const Label> b) {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (const int order = a[i].name.compare(b[i].name); order != 0) return order;
    if (const int order = a[i].value.compare(b[i].value); order != 0) return order;
  }
  if (a.size() == b.size()) return 0;
  return a.size() < b.size() ? -1 : 1;
}

std::string format_labels(std::span<const Label> labels) {
  std::string out = "{";
  for (const Label& label : labels) {
    if (out.size() > 1) out += ", ";
    append_label(out, label);
  }
  out.push_back('}');
  return out;
}

std::string format_series(std::span<const Label> labels) {
  const std::string_view name = find_label(labels, kMetricNameLabel);
  const bool has_plain_name = is_legacy_metric_name(name);
  std::string out(has_plain_name ? name : std::string_view{});
  std::string inside;
  for (const Label& label : labels) {
    if (has_plain_name && label.name == kMetricNameLabel) continue;
    if (!inside.empty()) inside += ", ";
    append_label(inside, label);
  }
  if (!inside.empty() || out.empty()) out += "{" + inside + "}";
  return out;
}

bool is_legacy_metric_name(std::string_view name) {
  if (name.empty() || !(is_name_start(name.front()) || name.front() == ':')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_name_part(c) || c == ':'; });
}

bool is_legacy_label_name(std::string_view name) {
  if (name.empty() || !is_name_start(name.front())) return false;
  return std::all_of(name.begin(), name.end(), is_name_part);
}

void append_go_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t position = 0;
  while (position < text.size()) {
    const std::size_t start = position;
    const char32_t c = core::next_code_point(text, position);
    if (c == 0xfffd && position == start + 1) {
      out += "\\x";
      append_hex(out, static_cast<unsigned char>(text[start]), 2);
      continue;
    }
    switch (c) {
      case '"':
        out += "\\\"";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      case '\a':
        out += "\\a";
        continue;
      case '\b':
        out += "\\b";
        continue;
      case '\f':
        out += "\\f";
        continue;
      case '\n':
        out += "\\n";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\t':
        out += "\\t";
        continue;
      case '\v':
        out += "\\v";
        continue;
      default:
        break;
    }
    if (c < 0x20 || c == 0x7f) {
      out += "\\x";
      append_hex(out, c, 2);
    } else if ((c >= 0x80 && c < 0xa0) || c == 0xad) {
      out += "\\u";
      append_hex(out, c, 4);
    } else {
      out += text.substr(start, position - start);
    }
  }
  out.push_back('"');
}

}  // namespace gantry::telemetry
