// Reads every query of the reference's data and compares what was made of it, when the data is
// there.

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "traceql/parser.h"
#include "traceql/testing/otlp_dataset.h"
#include "traceql/testing/trees.h"

namespace gantry::traceql {
namespace {

using nlohmann::json;

json read_queries() {
  const auto text = testing::read_conformance_file("traceql/queries.json");
  return text ? json::parse(*text)["queries"] : json();
}

std::string text_of(const json& item, const char* key) {
  return item.contains(key) ? item[key].get<std::string>() : "";
}

std::string class_of(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::Parse:
      return "parse_fails";
    case RefusalKind::Validation:
      return "validate_fails";
    case RefusalKind::Unsupported:
      return "unsupported";
  }
  return "";
}

// Tempo prints compare() without its numbers and with a brace too many, which does not read.
bool has_broken_text(const std::string& query) {
  return query.contains("compare(");
}

std::string check_valid(const json& item) {
  const std::string query = item["query"];
  const auto parsed = parse(query);
  if (!parsed) return "refused: " + parsed.error().message;
  const std::string text = format(*parsed);
  if (!has_broken_text(query) && text != text_of(item, "normalized")) return "printed as " + text;
  const auto again = parse(text);
  if (!again) return "canonical text refused: " + again.error().message + " of " + text;
  if (!testing::are_equal(*parsed, *again)) return "canonical text means something else: " + text;
  if (format(*again) != text) return "canonical text changes: " + format(*again);
  return "";
}

std::string check_refused(const json& item) {
  const auto parsed = parse(item["query"].get<std::string>());
  if (parsed) return "accepted";
  const std::string got = class_of(parsed.error().kind);
  if (got != text_of(item, "class")) return got + ": " + parsed.error().message;
  if (parsed.error().message != text_of(item, "tempo_error")) return parsed.error().message;
  return "";
}

TEST(ParserConformance, EveryQueryReadsOrIsRefusedAsTheReferenceDoes) {
  const json queries = read_queries();
  if (queries.is_null()) GTEST_SKIP() << "no conformance data";
  constexpr std::size_t kQueries = 661;
  EXPECT_EQ(queries.size(), kQueries);
  for (const json& item : queries) {
    const std::string problem = item["class"] == "valid" ? check_valid(item) : check_refused(item);
    EXPECT_EQ(problem, "") << item["query"] << "\n  expected " << item["class"] << " "
                           << text_of(item, "normalized") << text_of(item, "tempo_error");
  }
}

}  // namespace
}  // namespace gantry::traceql
