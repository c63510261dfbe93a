#pragma once

// Reads of simdjson values that requests and answers share. Strings are decoded at most once: the
// parser has room for no more.

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <simdjson.h>

#include "core/error.h"

namespace gantry::gateway {

/// A callback for the members of an object; the key is decoded.
template <class F>
concept OnMember =
    std::is_invocable_r_v<simdjson::error_code, F, std::string_view, simdjson::ondemand::value&>;

/// Hands each member to `on_member`; nothing happens if the value is no object. Members whose keys
/// are no text (half of a surrogate pair) are passed over. Errors stop it.
template <OnMember F>
[[nodiscard]] simdjson::error_code each_member(simdjson::ondemand::value& value, F on_member) {
  simdjson::ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (type != simdjson::ondemand::json_type::object) return simdjson::SUCCESS;
  simdjson::ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  for (auto item : object) {
    simdjson::ondemand::field field;
    if (const auto error = std::move(item).get(field)) return error;
    std::string_view key;
    if (field.unescaped_key().get(key)) continue;
    if (const simdjson::error_code error = on_member(key, field.value())) return error;
  }
  return simdjson::SUCCESS;
}

/// Hands each element to `on_element` until that returns an error; nothing happens if the value is
/// no array.
template <class F>
[[nodiscard]] simdjson::error_code each_element(simdjson::ondemand::value& value, F on_element) {
  simdjson::ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (type != simdjson::ondemand::json_type::array) return simdjson::SUCCESS;
  simdjson::ondemand::array array;
  if (const auto error = value.get_array().get(array)) return error;
  for (auto item : array) {
    simdjson::ondemand::value element;
    if (const auto error = item.get(element)) return error;
    if (const simdjson::error_code error = on_element(element)) return error;
  }
  return simdjson::SUCCESS;
}

/// Hands each member of the object that `text` is to `on_member`; SIMDJSON_PADDING bytes behind it
/// must be readable. Errors, InvalidArgument: "<what>: must be a JSON object", "<what>: not valid
/// JSON: <why>".
[[nodiscard]] Result<void> read_json_object(
    std::string_view what, std::string_view text,
    const std::function<simdjson::error_code(std::string_view, simdjson::ondemand::value&)>&
        on_member);

/// The value's own text, without white space around it.
[[nodiscard]] simdjson::simdjson_result<std::string_view> raw_json(
    simdjson::ondemand::value& value);

/// The key as it is written, without quotes: escapes are not decoded. Before the field's
/// unescaped_key, if both are wanted.
[[nodiscard]] std::string_view raw_key(simdjson::ondemand::field& field);

/// Nothing if the value is not of the kind asked for; the value is then still unread.
[[nodiscard]] std::optional<std::string_view> as_string(simdjson::ondemand::value& value);
[[nodiscard]] std::optional<double> as_double(simdjson::ondemand::value& value);
[[nodiscard]] std::optional<bool> as_bool(simdjson::ondemand::value& value);

/// A number whose value is an integer: 64 and 64.0.
[[nodiscard]] std::optional<std::int64_t> as_integer(simdjson::ondemand::value& value);

/// As as_integer, not negative.
[[nodiscard]] std::optional<std::int64_t> as_count(simdjson::ondemand::value& value);

/// Of an array; nothing for other values. The value is then read.
[[nodiscard]] std::optional<std::int64_t> element_count(simdjson::ondemand::value& value);

}  // namespace gantry::gateway
