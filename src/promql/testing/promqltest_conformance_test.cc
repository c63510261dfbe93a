// Runs Prometheus's own scripts, when they are there, and ours in tests/promql.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "promql/engine.h"
#include "promql/testing/expected_failures.h"
#include "promql/testing/promqltest.h"

namespace gantry::promql::promqltest {
namespace {

using std::filesystem::path;

std::string read_text(const path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::vector<path> scripts_in(const path& directory) {
  std::vector<path> scripts;
  if (!std::filesystem::is_directory(directory)) return scripts;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".test") scripts.push_back(entry.path());
  }
  std::ranges::sort(scripts);
  return scripts;
}

path conformance_directory() {
  const char* from_environment = std::getenv("GANTRY_CONFORMANCE_DIR");
  const path root = from_environment != nullptr ? from_environment : GANTRY_CONFORMANCE_DEFAULT;
  return root / "promql";
}

path expected_failures_file() {
  return path(GANTRY_SOURCE_DIR) / "src/promql/testdata/promqltest_expected_failures.txt";
}

struct Totals {
  int evals = 0;
  int passed = 0;
};

void print_counts(std::string_view what, int passed, int evals) {
  fmt::print("{:<28} {:>5} / {}\n", what, passed, evals);
}

/// Runs all scripts; returns the cases that failed. Reports those that `known` does not have.
std::set<CaseId> run_all(const std::vector<path>& scripts, const std::set<CaseId>& known) {
  const Engine engine(script_engine_options());
  const bool is_verbose = std::getenv("GANTRY_PROMQLTEST_VERBOSE") != nullptr;
  std::set<CaseId> failed;
  Totals totals;
  for (const path& script : scripts) {
    const Report report = run_script(read_text(script), engine);
    const std::string file = script.filename().string();
    for (const Failure& failure : report.failures) {
      failed.insert({.file = file, .line = failure.line});
      const bool is_known = known.contains({.file = file, .line = failure.line});
      if (!is_known) ADD_FAILURE() << file << ":" << failure.line << ": " << failure.message;
      if (is_known && is_verbose) {
        fmt::print("known: {}:{}: {}\n", file, failure.line, failure.message);
      }
    }
    print_counts(file, report.passed_count, report.eval_count);
    totals.evals += report.eval_count;
    totals.passed += report.passed_count;
  }
  print_counts("total", totals.passed, totals.evals);
  return failed;
}

TEST(PromqltestConformance, PrometheusScriptsPassButForTheListedCases) {
  const auto scripts = scripts_in(conformance_directory());
  if (scripts.empty()) {
    GTEST_SKIP() << "no scripts in " << conformance_directory()
                 << "; set GANTRY_CONFORMANCE_DIR to run them";
  }
  const bool is_update = std::getenv("GANTRY_UPDATE_EXPECTED_FAILURES") != nullptr;
  if (is_update) {
    // Everything is reported as known, whatever fails.
    const Engine engine(script_engine_options());
    std::set<CaseId> failed;
    for (const path& script : scripts) {
      for (const Failure& failure : run_script(read_text(script), engine).failures) {
        failed.insert({.file = script.filename().string(), .line = failure.line});
      }
    }
    std::ofstream(expected_failures_file(), std::ios::binary) << format_expected_failures(failed);
    GTEST_SKIP() << "wrote " << failed.size() << " cases to " << expected_failures_file();
  }
  const auto known = parse_expected_failures(read_text(expected_failures_file()));
  const auto failed = run_all(scripts, known);
  for (const CaseId& id : known) {
    EXPECT_TRUE(failed.contains(id))
        << id.file << ":" << id.line << " passes now: remove this line from "
        << expected_failures_file();
  }
}

TEST(PromqltestConformance, OwnScriptsPass) {
  const auto scripts = scripts_in(path(GANTRY_SOURCE_DIR) / "tests/promql");
  ASSERT_FALSE(scripts.empty());
  run_all(scripts, {});
}

}  // namespace
}  // namespace gantry::promql::promqltest
