#pragma once

// Random JSON texts as a hostile or careless writer would write them, for property tests.

#include <string>
#include <utility>
#include <vector>

namespace gantry::gateway::testing {

/// Each draws from RapidCheck's generators: call inside a property.
[[nodiscard]] std::string random_space();

/// With quotes; escapes of all kinds, UTF-8, no lone surrogates.
[[nodiscard]] std::string random_json_string();

/// Numbers within a double's range.
[[nodiscard]] std::string random_json(int depth_max);

/// `key` as a JSON string, some ASCII characters written as \u escapes.
[[nodiscard]] std::string random_spelling(const std::string& key);

/// An object of these members, whose keys and values are JSON already.
[[nodiscard]] std::string random_layout(
    const std::vector<std::pair<std::string, std::string>>& members);

}  // namespace gantry::gateway::testing
