#include "gateway/testing/random_json.h"

#include <fmt/format.h>
#include <rapidcheck.h>

namespace gantry::gateway::testing {

std::string random_space() {
  return *rc::gen::elementOf(std::vector<std::string>{"", "", "", " ", "\n", "\t \r\n"});
}

std::string random_json_string() {
  static const std::vector<std::string> kPieces = {"a",
                                                   "plain text of some length",
                                                   "\\n",
                                                   "\\\"",
                                                   "\\\\",
                                                   "\\/",
                                                   "\\u00e9",
                                                   "\\ud83d\\ude00",
                                                   "\xc3\xa9",
                                                   "{",
                                                   "stop\\\"",
                                                   ",",
                                                   "\xf0\x9f\x98\x80",
                                                   "\\u0000",
                                                   "]",
                                                   ":",
                                                   "1",
                                                   "\x7f"};
  std::string out = "\"";
  for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
    out += *rc::gen::elementOf(kPieces);
  }
  return out + "\"";
}

std::string random_json(int depth_max) {
  static const std::vector<std::string> kScalars = {"null",
                                                    "true",
                                                    "false",
                                                    "0",
                                                    "-0",
                                                    "1.50",
                                                    "1e3",
                                                    "-2.5E-10",
                                                    "123456789012345678901",
                                                    "0.1000000000000000055511151231257827"};
  const int kind = *rc::gen::inRange(0, depth_max > 0 ? 4 : 2);
  if (kind == 0) return *rc::gen::elementOf(kScalars);
  if (kind == 1) return random_json_string();
  const int size = *rc::gen::inRange(0, 4);
  if (kind == 2) {
    std::string out = "[" + random_space();
    for (int i = 0; i < size; ++i) {
      if (i > 0) out += "," + random_space();
      out += random_json(depth_max - 1) + random_space();
    }
    return out + "]";
  }
  std::vector<std::pair<std::string, std::string>> members;
  for (int i = 0; i < size; ++i) {
    members.emplace_back(random_json_string(), random_json(depth_max - 1));
  }
  return random_layout(members);
}

std::string random_spelling(const std::string& key) {
  std::string out = "\"";
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && *rc::gen::inRange(0, 8) == 0) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string random_layout(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out = "{" + random_space();
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out += "," + random_space();
    out += members[i].first + random_space() + ":" + random_space() + members[i].second;
    out += random_space();
  }
  return out + "}";
}

}  // namespace gantry::gateway::testing
