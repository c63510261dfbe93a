#pragma once

// Text to tree: `parse("sum(rate(x[5m]))")`. Lexer, recursive descent with a Pratt loop for binary
// operators, then type checks. Error texts are Prometheus's ("1:9: parse error: …"), to the letter.

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "promql/ast.h"

namespace gantry::promql {

/// Language switches; the defaults are Prometheus 3.14's.
struct ParserOptions {
  bool experimental_functions = false;
  bool duration_expressions = true;
  bool extended_range_selectors = false;  ///< anchored, smoothed
  bool binop_fill_modifiers = false;
};

struct ParseError {
  Position position;
  std::string message;  ///< Without position and "parse error: ".
};

/// The whole query. The Error's message is what a client sees ("1:9: parse error: …").
/// Nesting deeper than 256 levels or a text longer than 1 MiB is an error too.
Result<ExprPtr> parse(std::string_view query, const ParserOptions& options = {});

/// All errors found, in order; empty when the query parses.
std::vector<ParseError> parse_errors(std::string_view query, const ParserOptions& options = {});

/// A selector alone, as in `match[]`: `up{job="x"}`, `{__name__=~"a.*"}`. Errors as parse.
Result<std::vector<Matcher>> parse_metric_selector(std::string_view selector);

/// "1:9" of a byte offset in `query`: lines and columns count from 1, columns in bytes.
std::string line_and_column(std::string_view query, std::uint32_t offset);

}  // namespace gantry::promql
