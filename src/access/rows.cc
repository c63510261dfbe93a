#include <algorithm>
#include <charconv>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "access/rows_internal.h"
#include "access/token.h"
#include "core/json_writer.h"
#include "core/utf8.h"

namespace gantry::access {
namespace {

constexpr std::size_t kDisplayBytesMax = 255;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace

Result<std::vector<std::string>> parse_string_array(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array())
    return fail(Code::DataLoss, "a list of the state database is no JSON array");
  std::vector<std::string> values;
  for (const auto& item : json) {
    if (!item.is_string())
      return fail(Code::DataLoss, "a list of the state database has an item that is no string");
    values.push_back(item.get<std::string>());
  }
  return values;
}

std::string format_string_array(std::span<const std::string> values) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_array();
  for (const std::string& value : values) json.string(value);
  json.end_array();
  return text;
}

void check_name(std::vector<FieldProblem>& problems, std::string_view path, std::string_view name,
                std::size_t length_max) {
  if (is_token_name(name) && name.size() <= length_max) return;
  problems.push_back(
      {.path = std::string(path),
       .reason = fmt::format("must be 1 to {} characters of a-z, 0-9 and -, and not begin with -",
                             length_max)});
}

void check_display_text(std::vector<FieldProblem>& problems, std::string_view path,
                        std::string_view text) {
  if (text.size() <= kDisplayBytesMax && std::ranges::none_of(text, is_control)) return;
  problems.push_back({.path = std::string(path),
                      .reason = fmt::format("must be at most {} bytes without control characters",
                                            kDisplayBytesMax)});
}

std::optional<std::int64_t> parse_identifier(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 ||
      text.starts_with('-'))
    return std::nullopt;
  return value;
}

}  // namespace gantry::access
