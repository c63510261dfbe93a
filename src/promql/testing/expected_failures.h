#pragma once

// The list of conformance cases that are known to fail: `file:line` a line, `#` for comments.

#include <compare>
#include <set>
#include <string>
#include <string_view>

namespace gantry::promql::promqltest {

struct CaseId {
  std::string file;
  int line = 0;

  friend auto operator<=>(const CaseId&, const CaseId&) = default;
};

/// Lines of another form are ignored.
[[nodiscard]] std::set<CaseId> parse_expected_failures(std::string_view text);

[[nodiscard]] std::string format_expected_failures(const std::set<CaseId>& cases);

}  // namespace gantry::promql::promqltest
