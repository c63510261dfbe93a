#include <algorithm>

#include <fmt/format.h>

#include "pipeline/rule_json_internal.h"

namespace gantry::pipeline {

namespace dom = simdjson::dom;

std::unexpected<Error> refuse(std::string_view path, std::string_view why) {
  return fail(Code::InvalidArgument, fmt::format("{}: {}", path, why));
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 64;
  const bool is_long = text.size() > kShownMax;
  return fmt::format("\"{}{}\"", text.substr(0, kShownMax), is_long ? "…" : "");
}

Result<dom::element> read_document(dom::parser& parser, std::string_view json,
                                   std::string_view path, std::size_t bytes_max) {
  if (json.size() > bytes_max)
    return refuse(path, fmt::format("is {} bytes, the limit is {}", json.size(), bytes_max));
  dom::element root;
  const simdjson::padded_string padded(json);
  if (const auto error = parser.parse(padded).get(root); error != simdjson::SUCCESS)
    return refuse(path, fmt::format("not JSON: {}", simdjson::error_message(error)));
  return root;
}

Result<Members> Members::read(dom::element element, std::string_view path,
                              std::span<const std::string_view> names) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS) return refuse(path, "must be an object");
  Members members;
  members.path_ = path;
  for (const dom::key_value_pair& member : object) {
    const auto name = std::ranges::find(names, member.key);
    if (name == names.end())
      return refuse(path, fmt::format("unknown key {}; the keys are {}", quoted(member.key),
                                      fmt::join(names, ", ")));
    if (members.find(*name) != nullptr)
      return refuse(path, fmt::format("\"{}\" is given twice", *name));
    members.values_.emplace_back(*name, member.value);
  }
  return members;
}

const dom::element* Members::find(std::string_view name) const {
  const auto found = std::ranges::find(values_, name, &decltype(values_)::value_type::first);
  return found == values_.end() ? nullptr : &found->second;
}

std::string Members::path_of(std::string_view name) const {
  return fmt::format("{}.{}", path_, name);
}

Result<std::optional<std::string_view>> Members::text(std::string_view name) const {
  const dom::element* const element = find(name);
  if (element == nullptr) return std::nullopt;
  std::string_view text;
  if (element->get(text) != simdjson::SUCCESS) return refuse(path_of(name), "must be a string");
  return text;
}

Result<std::optional<bool>> Members::boolean(std::string_view name) const {
  const dom::element* const element = find(name);
  if (element == nullptr) return std::nullopt;
  bool value = false;
  if (element->get(value) != simdjson::SUCCESS)
    return refuse(path_of(name), "must be true or false");
  return value;
}

Result<std::string_view> Members::required_text(std::string_view name) const {
  GANTRY_TRY(const std::optional<std::string_view> found, text(name));
  if (!found) return refuse(path_, fmt::format("\"{}\" is missing", name));
  return *found;
}

Result<dom::array> read_array(dom::element element, std::string_view path) {
  dom::array array;
  if (element.get(array) != simdjson::SUCCESS) return refuse(path, "must be an array");
  return array;
}

}  // namespace gantry::pipeline
