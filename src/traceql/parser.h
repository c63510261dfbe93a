#pragma once

// Text to tree: parses, checks and folds.

#include <string>
#include <string_view>

#include "core/error.h"
#include "traceql/ast.h"

namespace gantry::traceql {

/// At which step a text was refused. HTTP answers 400 for each; endpoints word them differently.
enum class RefusalKind : std::uint8_t {
  Parse,        ///< "parse error at line 1, col 3: unknown identifier: foo"
  Validation,   ///< "binary operations must operate on the same type: …"
  Unsupported,  ///< "… not yet supported"
};

struct Refusal {
  RefusalKind kind = RefusalKind::Parse;
  std::string message;  ///< Tempo's words.
};

/// Thread-safe. `text` may be anything. More than 256 levels of nesting and more than 1024
/// operators in a row are refused (Parse).
[[nodiscard]] std::expected<Query, Refusal> parse(std::string_view text);

/// An attribute or intrinsic alone, as /api/v2/search/tag/{identifier}/values takes it. Errors:
/// Refusal with "parse error at line 1, col 2: unknown identifier: foo".
[[nodiscard]] std::expected<Attribute, Refusal> parse_identifier(std::string_view text);

/// The `q` of tag look-ups, which users are still typing: one span set filter whose incomplete
/// conditions count as true. Null when no condition is left, and when the text is anything else
/// (structural, several filters, cannot be read): then nothing is filtered.
[[nodiscard]] FieldPtr parse_partial_filter(std::string_view text);

/// Canonical text: parse(format(q)) is q again.
[[nodiscard]] std::string format(const Query& query);
[[nodiscard]] std::string format(const FieldExpr& field);

}  // namespace gantry::traceql
