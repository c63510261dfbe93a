// Any text as a query, an identifier and a filter that is still being typed. What parses must print
// to something that parses and prints the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "traceql/parser.h"

namespace gantry::traceql {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_query(const std::string& text) {
  const auto parsed = parse(text);
  if (!parsed) {
    require(!parsed.error().message.empty());
    return;
  }
  const std::string canonical = format(*parsed);
  const auto again = parse(canonical);
  require(again.has_value() && format(*again) == canonical);
}

void check_identifier(const std::string& text) {
  const auto attribute = parse_identifier(text);
  if (!attribute) return;
  const auto again = parse_identifier(attribute->text);
  require(again.has_value() && *again == *attribute && again->text == attribute->text);
}

void check_filter(const std::string& text) {
  const FieldPtr field = parse_partial_filter(text);
  if (field) require(parse("{ " + format(*field) + " }").has_value());
}

}  // namespace
}  // namespace gantry::traceql

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  gantry::traceql::check_query(text);
  gantry::traceql::check_identifier(text);
  gantry::traceql::check_filter(text);
  return 0;
}
