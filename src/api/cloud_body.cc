#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "api/cloud_internal.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

constexpr int kDepthMax = 32;

}  // namespace

ControlResult<Json> parse_cloud_body(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return Json::object();
  std::vector<std::vector<std::string>> keys;
  std::string duplicate;
  bool is_too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    is_too_deep = is_too_deep || depth > kDepthMax;
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end && !keys.empty()) keys.pop_back();
    if (event == Event::key && !keys.empty()) {
      auto name = value.get<std::string>();
      if (std::ranges::find(keys.back(), name) != keys.back().end()) duplicate = name;
      keys.back().push_back(std::move(name));
    }
    return !is_too_deep;
  };
  Json parsed = Json::parse(body, watch, false);
  if (is_too_deep)
    return access::refuse(Code::InvalidArgument,
                          fmt::format("the body is nested deeper than {} levels", kDepthMax));
  if (parsed.is_discarded())
    return access::refuse(Code::InvalidArgument, "the body is not valid JSON");
  if (!duplicate.empty()) return access::refuse_field(duplicate, "is in the body twice");
  if (!parsed.is_object())
    return access::refuse(Code::InvalidArgument, "the body must be a JSON object");
  return parsed;
}

BodyReader::BodyReader(const Json& object, std::string path,
                       std::vector<access::FieldProblem>& problems)
    : object_(object), path_(std::move(path)), problems_(problems) {}

std::string BodyReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void BodyReader::complain(std::string_view key, std::string_view reason) {
  problems_.push_back({.path = path_of(key), .reason = std::string(reason)});
}

const Json* BodyReader::find(std::string_view key) const {
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

bool BodyReader::has(std::string_view key) const {
  return find(key) != nullptr;
}

bool BodyReader::is_null(std::string_view key) const {
  const Json* const value = find(key);
  return value != nullptr && value->is_null();
}

std::string BodyReader::required_text(std::string_view key) {
  const Json* const value = find(key);
  if (value == nullptr || value->is_null()) {
    complain(key, "is required");
    return {};
  }
  return text(key).value_or("");
}

std::optional<std::string> BodyReader::text(std::string_view key) {
  const Json* const value = find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  complain(key, "must be a string");
  return std::nullopt;
}

std::optional<bool> BodyReader::boolean(std::string_view key) {
  const Json* const value = find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  complain(key, "must be true or false");
  return std::nullopt;
}

std::optional<std::uint64_t> BodyReader::number(std::string_view key) {
  const Json* const value = find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (value->is_number_unsigned()) return value->get<std::uint64_t>();
  std::uint64_t parsed = 0;
  if (value->is_string()) {
    const auto& text = value->get_ref<const std::string&>();
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, parsed);
    if (error == std::errc() && end == last) return parsed;
  }
  complain(key, "must be a whole number");
  return std::nullopt;
}

std::optional<TimestampMs> BodyReader::time(std::string_view key) {
  const auto written = text(key);
  if (!written) return std::nullopt;
  const auto time = core::parse_rfc3339(*written);
  if (!time) complain(key, "must be a time such as 2030-01-02T15:04:05Z");
  return time;
}

std::optional<std::vector<std::string>> BodyReader::texts(std::string_view key) {
  const Json* const list = array(key);
  if (list == nullptr) return std::nullopt;
  std::vector<std::string> values;
  for (std::size_t i = 0; i < list->size(); ++i) {
    if ((*list)[i].is_string())
      values.push_back((*list)[i].get<std::string>());
    else
      complain(fmt::format("{}[{}]", key, i), "must be a string");
  }
  return values;
}

const Json* BodyReader::object(std::string_view key) {
  const Json* const value = find(key);
  if (value == nullptr || value->is_null()) return nullptr;
  if (value->is_object()) return value;
  complain(key, "must be an object");
  return nullptr;
}

const Json* BodyReader::array(std::string_view key) {
  const Json* const value = find(key);
  if (value == nullptr || value->is_null()) return nullptr;
  if (value->is_array()) return value;
  complain(key, "must be an array");
  return nullptr;
}

}  // namespace gantry::api
