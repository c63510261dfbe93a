// Runs Prometheus's own scripts, when they are there, and ours in tests/promql.
//
//   GANTRY_CONFORMANCE_DIR                where Prometheus's scripts are, in a folder `promql`
//   GANTRY_PROMQLTEST_VERBOSE=1           print the known failures too
//   GANTRY_UPDATE_EXPECTED_FAILURES=1     write the list of known failures anew

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/worker_pool.h"
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

void print_counts(std::string_view what, int passed, int evals) {
  fmt::print("{:<28} {:>5} / {}\n", what, passed, evals);
}

/// Runs the scripts and prints the counts. What failed, and why.
std::map<CaseId, std::string> run_all(const std::vector<path>& scripts,
                                      core::WorkerPool* workers = nullptr) {
  EngineOptions options = script_engine_options();
  options.workers = workers;
  const Engine engine(options);
  std::map<CaseId, std::string> failed;
  int evals = 0;
  int passed = 0;
  for (const path& script : scripts) {
    const std::string file = script.filename().string();
    const Report report = run_script(read_text(script), engine);
    for (const Failure& failure : report.failures) {
      failed.emplace(CaseId{.file = file, .line = failure.line}, failure.message);
    }
    print_counts(file, report.passed_count, report.eval_count);
    evals += report.eval_count;
    passed += report.passed_count;
  }
  print_counts("total", passed, evals);
  return failed;
}

void rewrite_expected_failures(const std::map<CaseId, std::string>& failed) {
  std::set<CaseId> cases;
  for (const auto& [id, message] : failed) cases.insert(id);
  std::ofstream(expected_failures_file(), std::ios::binary) << format_expected_failures(cases);
}

TEST(PromqltestConformance, PrometheusScriptsPassButForTheListedCases) {
  const auto scripts = scripts_in(conformance_directory());
  if (scripts.empty()) {
    GTEST_SKIP() << "no scripts in " << conformance_directory()
                 << "; set GANTRY_CONFORMANCE_DIR to run them";
  }
  const auto failed = run_all(scripts);
  if (std::getenv("GANTRY_UPDATE_EXPECTED_FAILURES") != nullptr) {
    rewrite_expected_failures(failed);
    GTEST_SKIP() << "wrote " << failed.size() << " cases to " << expected_failures_file();
  }
  const auto known = parse_expected_failures(read_text(expected_failures_file()));
  const bool is_verbose = std::getenv("GANTRY_PROMQLTEST_VERBOSE") != nullptr;
  for (const auto& [id, message] : failed) {
    EXPECT_TRUE(known.contains(id)) << id.file << ":" << id.line << ": " << message;
    if (is_verbose) fmt::print("{}:{}: {}\n", id.file, id.line, message);
  }
  for (const CaseId& id : known) {
    EXPECT_TRUE(failed.contains(id))
        << id.file << ":" << id.line << " passes now: remove this line from "
        << expected_failures_file();
  }
}

TEST(PromqltestConformance, OwnScriptsPass) {
  const auto scripts = scripts_in(path(GANTRY_SOURCE_DIR) / "tests/promql");
  ASSERT_FALSE(scripts.empty());
  core::WorkerPool pool({.thread_count = 3});
  for (core::WorkerPool* const workers : {static_cast<core::WorkerPool*>(nullptr), &pool}) {
    for (const auto& [id, message] : run_all(scripts, workers)) {
      ADD_FAILURE() << id.file << ":" << id.line << ": " << message;
    }
  }
}

}  // namespace
}  // namespace gantry::promql::promqltest
