// Any text as a query, a selector and a series description. What parses must print to something
// that parses and prints the same; what does not parse has an error inside the text.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "promql/durations.h"
#include "promql/parser.h"
#include "promql/printer.h"
#include "promql/series_description.h"

namespace gantry::promql {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_query(std::string_view text, const ParserOptions& options) {
  auto parsed = parse(text, options);
  if (!parsed) {
    const auto errors = parse_errors(text, options);
    require(!errors.empty() && parsed.error().code == Code::InvalidArgument);
    for (const ParseError& error : errors) {
      require(error.position.start <= text.size() && error.position.end <= text.size());
    }
    return;
  }
  const std::string canonical = print(**parsed);
  const auto again = parse(canonical, options);
  require(again.has_value() && print(**again) == canonical);
  require(print(*clone(**parsed)) == canonical);
  const auto pretty = parse(print_pretty(**parsed, 10), options);
  require(pretty.has_value() && print(**pretty) == canonical);
  static_cast<void>(resolve_durations(**parsed, {.start_ms = 0, .end_ms = 1000, .step_ms = 7}));
}

}  // namespace
}  // namespace gantry::promql

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::promql;
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_query(text, {.experimental_functions = true,
                     .duration_expressions = true,
                     .extended_range_selectors = true,
                     .binop_fill_modifiers = true});
  static_cast<void>(parse_metric_selector(text));
  static_cast<void>(parse_series_description(text));
  static_cast<void>(parse_start_timestamp_description(text));
  return 0;
}
