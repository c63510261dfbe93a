#include "promql/testing/expected_failures.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

#include <fmt/format.h>

namespace gantry::promql::promqltest {

std::set<CaseId> parse_expected_failures(std::string_view text) {
  std::set<CaseId> cases;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = line.rfind(':');
    if (line.starts_with('#') || colon == std::string_view::npos) continue;
    CaseId id{.file = std::string(line.substr(0, colon)), .line = 0};
    const char* first = line.data() + colon + 1;
    const char* last = line.data() + line.size();
    const auto parsed = std::from_chars(first, last, id.line);
    if (parsed.ec == std::errc() && parsed.ptr == last) cases.insert(std::move(id));
  }
  return cases;
}

std::string format_expected_failures(const std::set<CaseId>& cases) {
  std::string text =
      "# Cases of Prometheus's conformance scripts that fail, as file:line. The test fails when\n"
      "# another case fails and when one of these passes: then remove its line, or run it with\n"
      "# GANTRY_UPDATE_EXPECTED_FAILURES=1, which writes this file anew.\n";
  for (const CaseId& id : cases) text += fmt::format("{}:{}\n", id.file, id.line);
  return text;
}

}  // namespace gantry::promql::promqltest
