#pragma once

// Selectors, numbers and other parts of random queries that hold no expression, and the chance that
// all of random_query.cc draws from.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>

#include "promql/testing/random_query.h"

namespace gantry::promql::promqltest {

using Words = std::initializer_list<std::string_view>;

inline constexpr Words kArithmetic = {"+", "-", "*", "/", "%", "^", "atan2"};
inline constexpr Words kComparisons = {"==", "!=", "<", "<=", ">", ">="};
inline constexpr Words kRanges = {"1m", "2m", "5m", "90s", "5m", "10m", "17s", "3m", "1h"};

/// Draws in a fixed order from one generator, so that a seed stands for a query.
class RandomSelector {
 public:
  RandomSelector(std::uint64_t seed, const QueryFeatures& features)
      : features_(features), random_(seed) {}

  template <class List>
  std::string one_of(const List& list) {
    return std::string(list.begin()[below(list.size())]);
  }

  std::size_t below(std::size_t end);
  bool one_in(std::size_t n);
  std::string one_of(Words words);

  /// Braces, unlike operands of +, are evaluated from left to right by every compiler.
  static std::string joined(std::initializer_list<std::string> parts);

  std::string matcher();
  std::string braced(const std::string& name);
  std::string name_of_any();
  std::string selector_without_time();
  std::string at();
  std::string offset();
  std::string time_modifiers();
  std::string selector();
  [[nodiscard]] bool has_extended_ranges() const;
  std::string range_duration();
  std::string number();
  std::string grouping();
  std::string label_replacement();
  std::string fill();
  std::string arithmetic();
  std::string element_operator();
  std::string many_operator();

 protected:
  QueryFeatures features_;

 private:
  std::mt19937_64 random_;
};

}  // namespace gantry::promql::promqltest
