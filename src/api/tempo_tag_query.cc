#include "api/tempo_tag_query.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include <fmt/format.h>

#include "core/number_format.h"

namespace gantry::api {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

/// Matches what has `text` in it; regular expressions here are anchored.
std::string contains_pattern(std::string_view text) {
  std::string out = ".*";
  for (const char c : text) {
    if (std::string_view(R"(\.+*?()|[]{}^$)").contains(c)) out.push_back('\\');
    out.push_back(c);
  }
  return quoted(out + ".*");
}

/// `.http.status_code`, or `."with space"`.
std::string attribute_text(std::string_view key) {
  const bool is_plain = std::ranges::all_of(key, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._-:/").contains(c);
  });
  return is_plain ? fmt::format(".{}", key) : fmt::format(".{}", quoted(key));
}

std::string condition(std::string_view key, std::string_view value) {
  if (key == "service.name")
    return fmt::format("resource.service.name =~ {}", contains_pattern(value));
  if (key == "name") return fmt::format("name =~ {}", contains_pattern(value));
  if (key == "root.name") return fmt::format("rootName =~ {}", contains_pattern(value));
  if (key == "root.service.name")
    return fmt::format("rootServiceName =~ {}", contains_pattern(value));
  if (key == "status.code" && (value == "unset" || value == "ok" || value == "error"))
    return fmt::format("status = {}", value);
  const std::string attribute = attribute_text(key);
  const std::string as_text = fmt::format("{} = {}", attribute, quoted(value));
  const bool is_number = !value.empty() &&
                         value.find_first_not_of("0123456789") == std::string_view::npos &&
                         value.size() < 19;
  if (is_number || value == "true" || value == "false")
    return fmt::format("({} || {} = {})", as_text, attribute, value);
  return as_text;
}

/// Reads one text after another.
class TagReader {
 public:
  explicit TagReader(std::string_view text) : text_(text) {}

  void skip_blanks() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  }

  [[nodiscard]] bool is_at_end() const { return position_ == text_.size(); }

  /// Up to a blank or '='.
  std::string_view read_key() {
    const std::size_t begin = position_;
    while (!is_at_end() && text_[position_] != ' ' && text_[position_] != '=' &&
           text_[position_] != '"')
      ++position_;
    return text_.substr(begin, position_ - begin);
  }

  bool take(char c) {
    if (is_at_end() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  /// Bare up to a blank, or quoted with backslashes; null when a quotation does not end.
  std::optional<std::string> read_value() {
    std::string value;
    if (!take('"')) {
      while (!is_at_end() && text_[position_] != ' ' && text_[position_] != '"')
        value.push_back(text_[position_++]);
      return value;
    }
    while (!is_at_end() && text_[position_] != '"') {
      if (text_[position_] == '\\' && position_ + 1 < text_.size()) ++position_;
      value.push_back(text_[position_++]);
    }
    return take('"') ? std::optional(std::move(value)) : std::nullopt;
  }

  [[nodiscard]] std::size_t position() const { return position_ + 1; }

 private:
  std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace

std::expected<TempoTags, std::string> parse_tempo_tags(std::string_view text) {
  TempoTags tags;
  TagReader reader(text);
  for (reader.skip_blanks(); !reader.is_at_end(); reader.skip_blanks()) {
    const std::string key(reader.read_key());
    if (key.empty())
      return std::unexpected(
          fmt::format("unexpected '{}' at pos {}", text[reader.position() - 1], reader.position()));
    auto value = reader.take('=') ? reader.read_value() : std::string();
    if (!value)
      return std::unexpected(fmt::format("unterminated quoted value at pos {}", reader.position()));
    if (std::ranges::find(tags, key, &TempoTags::value_type::first) != tags.end())
      return std::unexpected(fmt::format("tag {} has been set twice", key));
    tags.emplace_back(key, *std::move(value));
  }
  return tags;
}

std::string tags_as_traceql(const TempoTags& tags) {
  std::string out = "{ ";
  std::string_view separator;
  for (const auto& [key, value] : tags) {
    out += separator;
    out += condition(key, value);
    separator = " && ";
  }
  return out + " }";
}

}  // namespace gantry::api
