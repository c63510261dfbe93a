// Prints random PromQL queries, one a line:
//
//   promql_random_queries --seed 1 --count 2000 --features 2.42 --start 1700000000 --end 1700003600
//
// Query k is that of seed + k. Features: `2.42`, `2.42+histograms` or `all` (the default). Start
// and end are Unix seconds between which the data lies.

#include <cstdint>
#include <iostream>
#include <map>
#include <string>

#include "promql/testing/random_query.h"

using gantry::promql::promqltest::QueryFeatures;

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags = {{"--seed", "1"},
                                              {"--count", "10"},
                                              {"--features", "all"},
                                              {"--start", "0"},
                                              {"--end", "3600"}};
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!flags.contains(argv[i])) {
      std::cerr << "unknown flag " << argv[i] << "\n";
      return 2;
    }
    flags[argv[i]] = argv[i + 1];
  }
  QueryFeatures features;
  const std::string& name = flags["--features"];
  if (name == "2.42" || name == "2.42+histograms") {
    features = QueryFeatures::of_prometheus_2_42();
    features.histograms = name != "2.42";
  } else if (name != "all") {
    std::cerr << "unknown features " << name << "\n";
    return 2;
  }
  features.data_start_seconds = std::stoll(flags["--start"]);
  features.data_end_seconds = std::stoll(flags["--end"]);
  const std::uint64_t seed = std::stoull(flags["--seed"]);
  const std::uint64_t count = std::stoull(flags["--count"]);
  for (std::uint64_t k = 0; k < count; ++k) {
    std::cout << gantry::promql::promqltest::random_query(seed + k, features) << "\n";
  }
  return 0;
}
