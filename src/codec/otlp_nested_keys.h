#pragma once

// What the key-value lists inside an attribute's value are called.

#include <string_view>

#include "core/error.h"

namespace gantry::codec {

/// `key` is one of a key-value list, `path` the keys from the attribute's own down to it, joined by
/// dots.
using NestedKeyTest = bool (*)(std::string_view path, std::string_view key);

/// Whether `test` holds for a key of a key-value list in the AnyValue, at any depth and in arrays
/// too; also in members that a later one of the oneof hides. `name` is the attribute's key. Errors:
/// InvalidArgument for bytes that are no AnyValue or lists in lists beyond kValueDepthMax.
[[nodiscard]] Result<bool> has_nested_key(std::string_view any_value, std::string_view name,
                                          NestedKeyTest test);

}  // namespace gantry::codec
