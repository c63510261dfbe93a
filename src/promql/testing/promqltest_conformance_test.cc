// Runs Prometheus's own scripts, when they are there, and ours in tests/promql: every case must
// pass, with and without workers.
//
//   GANTRY_CONFORMANCE_DIR    where Prometheus's scripts are, in a folder `promql`

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/worker_pool.h"
#include "promql/engine.h"
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

/// How many cases a script has, counted in its text.
int count_evals(std::string_view script) {
  int count = 0;
  while (!script.empty()) {
    const std::size_t end = std::min(script.find('\n'), script.size());
    const std::string_view line = script.substr(0, end);
    const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
    if (line.substr(begin).starts_with("eval")) ++count;
    script.remove_prefix(std::min(end + 1, script.size()));
  }
  return count;
}

void print_counts(std::string_view what, int passed, int evals) {
  fmt::print("{:<28} {:>5} / {}\n", what, passed, evals);
}

/// Runs the scripts and prints the counts.
void expect_all_pass(const std::vector<path>& scripts, core::WorkerPool* workers) {
  EngineOptions options = script_engine_options();
  options.workers = workers;
  const Engine engine(options);
  int evals = 0;
  int passed = 0;
  for (const path& script : scripts) {
    const std::string file = script.filename().string();
    const std::string text = read_text(script);
    const Report report = run_script(text, engine);
    for (const Failure& failure : report.failures) {
      ADD_FAILURE() << file << ":" << failure.line << ": " << failure.message;
    }
    EXPECT_EQ(report.eval_count, count_evals(text)) << file;
    print_counts(file, report.passed_count, report.eval_count);
    evals += report.eval_count;
    passed += report.passed_count;
  }
  print_counts("total", passed, evals);
  EXPECT_EQ(passed, evals);
}

std::string no_scripts() {
  return "no scripts in " + conformance_directory().string() +
         "; set GANTRY_CONFORMANCE_DIR to run them";
}

TEST(PromqltestConformance, PrometheusScriptsPass) {
  const auto scripts = scripts_in(conformance_directory());
  if (scripts.empty()) GTEST_SKIP() << no_scripts();
  expect_all_pass(scripts, nullptr);
}

TEST(PromqltestConformance, PrometheusScriptsPassWithWorkers) {
  const auto scripts = scripts_in(conformance_directory());
  if (scripts.empty()) GTEST_SKIP() << no_scripts();
  core::WorkerPool pool({.thread_count = 3});
  expect_all_pass(scripts, &pool);
}

TEST(PromqltestConformance, OwnScriptsPass) {
  const auto scripts = scripts_in(path(GANTRY_SOURCE_DIR) / "tests/promql");
  ASSERT_FALSE(scripts.empty());
  core::WorkerPool pool({.thread_count = 3});
  expect_all_pass(scripts, nullptr);
  expect_all_pass(scripts, &pool);
}

}  // namespace
}  // namespace gantry::promql::promqltest
