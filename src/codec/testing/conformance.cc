#include "codec/testing/conformance.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include "telemetry/sample.h"

namespace gantry::codec::testing {

namespace {

std::string conformance_directory() {
  const char* directory = std::getenv("GANTRY_CONFORMANCE_DIR");
  return directory != nullptr ? directory : GANTRY_CONFORMANCE_DEFAULT;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c - 'A' + 10;
}

}  // namespace

std::optional<std::string> read_conformance_file(std::string_view relative_path) {
  std::ifstream file(conformance_directory() + "/" + std::string(relative_path), std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::optional<nlohmann::json> read_conformance_json(std::string_view relative_path) {
  const auto text = read_conformance_file(relative_path);
  if (!text) return std::nullopt;
  return nlohmann::json::parse(*text);
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(hex_digit(hex[i]) * 16 + hex_digit(hex[i + 1])));
  }
  return bytes;
}

std::string from_base64(std::string_view base64) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int bit_count = 0;
  for (const char c : base64) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) break;
    bits = (bits << 6U) | static_cast<unsigned>(digit);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      bytes.push_back(static_cast<char>((bits >> static_cast<unsigned>(bit_count)) & 0xffU));
    }
  }
  return bytes;
}

double json_double(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  const std::string text = value.get<std::string>();
  if (text == "StaleNaN") return telemetry::stale_nan();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity" || text == "+Inf" || text == "Inf") {
    return std::numeric_limits<double>::infinity();
  }
  if (text == "-Infinity" || text == "-Inf") return -std::numeric_limits<double>::infinity();
  return std::strtod(text.c_str(), nullptr);
}

Score::~Score() {
  std::printf("%s: %d/%d passed\n", name_.c_str(), passed_, total_);
}

}  // namespace gantry::codec::testing
