#pragma once

// The published wire vectors, for tests that compare with them when they are there.

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace gantry::codec::testing {

/// The vectors' file, or nothing when the directory is not there. The directory comes from the
/// environment variable GANTRY_CONFORMANCE_DIR, else from the build.
[[nodiscard]] std::optional<std::string> read_conformance_file(std::string_view relative_path);

/// The same as JSON.
[[nodiscard]] std::optional<nlohmann::json> read_conformance_json(std::string_view relative_path);

[[nodiscard]] std::string from_hex(std::string_view hex);
[[nodiscard]] std::string from_base64(std::string_view base64);

/// A JSON number, or one of "NaN", "StaleNaN", "Infinity"/"+Inf", "-Infinity"/"-Inf".
[[nodiscard]] double json_double(const nlohmann::json& value);

/// Counts cases, and prints "passed/total" when it goes away.
class Score {
 public:
  explicit Score(std::string name) : name_(std::move(name)) {}

  ~Score();
  Score(const Score&) = delete;
  Score& operator=(const Score&) = delete;

  void add(bool passed) {
    ++total_;
    if (passed) ++passed_;
  }

 private:
  std::string name_;
  int passed_ = 0;
  int total_ = 0;
};

}  // namespace gantry::codec::testing

/// Binds the file's JSON to `variable`, or skips the test saying what is missing.
#define GANTRY_CONFORMANCE_JSON(variable, path)                                            \
  const auto variable##_file = ::gantry::codec::testing::read_conformance_json(path);      \
  if (!variable##_file) {                                                                  \
    GTEST_SKIP() << "no " << (path) << ": set GANTRY_CONFORMANCE_DIR to the test vectors"; \
  }                                                                                        \
  const nlohmann::json& variable = *variable##_file
