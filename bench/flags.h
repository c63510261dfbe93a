#pragma once

#include <map>
#include <string>
#include <string_view>

namespace gantry::bench {

/// `--name value` pairs.
inline std::map<std::string, std::string> read_flags(int count, char** arguments) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < count; i += 2)
    flags[std::string(std::string_view(arguments[i]).substr(2))] = arguments[i + 1];
  return flags;
}

}  // namespace gantry::bench
