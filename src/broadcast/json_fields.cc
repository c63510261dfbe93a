#include <algorithm>

#include <fmt/format.h>

#include "broadcast/json_fields_internal.h"

namespace gantry::broadcast {
namespace dom = simdjson::dom;

JsonFields::JsonFields(dom::element element, std::string path,
                       std::span<const std::string_view> names,
                       std::vector<access::FieldProblem>& problems)
    : path_(std::move(path)), problems_(problems) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS) {
    problems_.push_back({.path = path_, .reason = "must be an object"});
    return;
  }
  for (const dom::key_value_pair& member : object) {
    const auto name = std::ranges::find(names, member.key);
    if (name == names.end()) {
      problems_.push_back(
          {.path = path_of(member.key.substr(0, 64)),
           .reason = fmt::format("is not known here; the fields are {}", fmt::join(names, ", "))});
      return;
    }
    if (find(*name) != nullptr) {
      complain(*name, "is given twice");
      return;
    }
    members_.emplace_back(*name, member.value);
  }
}

const dom::element* JsonFields::find(std::string_view name) const {
  const auto found = std::ranges::find(members_, name, &decltype(members_)::value_type::first);
  return found == members_.end() ? nullptr : &found->second;
}

bool JsonFields::is_null(std::string_view name) const {
  const dom::element* const value = find(name);
  return value != nullptr && value->is_null();
}

std::optional<std::string_view> JsonFields::text(std::string_view name) {
  const dom::element* const value = find(name);
  if (value == nullptr) return std::nullopt;
  std::string_view text;
  if (value->get(text) == simdjson::SUCCESS) return text;
  complain(name, "must be a string");
  return std::nullopt;
}

std::optional<bool> JsonFields::boolean(std::string_view name) {
  const dom::element* const value = find(name);
  if (value == nullptr) return std::nullopt;
  bool is_on = false;
  if (value->get(is_on) == simdjson::SUCCESS) return is_on;
  complain(name, "must be true or false");
  return std::nullopt;
}

std::optional<double> JsonFields::number(std::string_view name) {
  const dom::element* const value = find(name);
  if (value == nullptr) return std::nullopt;
  double number = 0;
  if (value->is_number() && value->get(number) == simdjson::SUCCESS) return number;
  complain(name, "must be a number");
  return std::nullopt;
}

void JsonFields::complain(std::string_view name, std::string reason) {
  problems_.push_back({.path = path_of(name), .reason = std::move(reason)});
}

std::string JsonFields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 64;
  const bool is_long = text.size() > kShownMax;
  return fmt::format("\"{}{}\"", text.substr(0, kShownMax), is_long ? "…" : "");
}

}  // namespace gantry::broadcast
