// Runs the reference's own parser cases, when the data is there.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "promql/parser.h"
#include "promql/printer.h"
#include "promql/series_description.h"
#include "telemetry/labels.h"

namespace gantry::promql {
namespace {

using nlohmann::json;

std::string conformance_directory() {
  const char* directory = std::getenv("GANTRY_CONFORMANCE_DIR");
  return directory != nullptr ? directory : GANTRY_CONFORMANCE_DEFAULT;
}

std::string decode_base64(const std::string& text) {
  static const std::string alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string::npos) break;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      result.push_back(static_cast<char>((bits >> count) & 0xFF));
    }
  }
  return result;
}

std::string input_of(const json& item) {
  if (item.contains("input_base64")) return decode_base64(item["input_base64"]);
  return item["input"];
}

std::string show_errors(const std::vector<ParseError>& errors) {
  std::string text;
  for (const ParseError& error : errors) {
    text += "\n    " + std::to_string(error.position.start) + ".." +
            std::to_string(error.position.end) + " " + error.message;
  }
  return text;
}

std::string check_expression(const json& item) {
  const ParserOptions options{.experimental_functions = true, .extended_range_selectors = true};
  const std::string input = input_of(item);
  const auto parsed = parse(input, options);
  const auto errors = parse_errors(input, options);
  if (item["ok"]) {
    if (!parsed) return "refused: " + parsed.error().message;
    const Expr& expr = **parsed;
    if (node_kind_text(expr) != item["root"].get<std::string>()) {
      return "root is " + std::string(node_kind_text(expr));
    }
    if (item.contains("value")) {
      const auto& number = std::get<NumberLiteral>(expr.node);
      const double expected = std::stod(item["value"].get<std::string>());
      if (number.value != expected) return "value is " + std::to_string(number.value);
    }
    return "";
  }
  if (parsed) return "accepted";
  if (parsed.error().message != item["error"].get<std::string>()) {
    return "error is " + parsed.error().message;
  }
  if (errors.size() != item["error_count"].get<std::size_t>()) {
    return "wrong number of errors" + show_errors(errors);
  }
  std::size_t i = 0;
  for (const json& expected : item["errors"]) {
    const ParseError& error = errors[i++];
    if (error.message != expected["msg"].get<std::string>() ||
        error.position != Position{expected["start"], expected["end"]}) {
      return "errors differ" + show_errors(errors);
    }
  }
  return "";
}

std::string check_printed(const json& item) {
  const ParserOptions options{.extended_range_selectors = true, .binop_fill_modifiers = true};
  const auto parsed = parse(item["in"].get<std::string>(), options);
  if (!parsed) return "refused: " + parsed.error().message;
  const std::string printed = print(**parsed);
  return printed == item["out"].get<std::string>() ? "" : "printed " + printed;
}

std::string check_pretty(const json& item) {
  const auto parsed = parse(item["in"].get<std::string>());
  if (!parsed) return "refused: " + parsed.error().message;
  const std::string printed = print_pretty(**parsed, item["width"].get<std::size_t>());
  return printed == item["out"].get<std::string>() ? "" : "printed\n" + printed;
}

void collect_selectors(const Expr& expr, std::vector<std::string>& out) {
  const auto add = [&out](const VectorSelector& selector) {
    std::string text = "{";
    for (const Matcher& matcher : selector.matchers) {
      if (text.size() > 1) text += ", ";
      text += matcher.name() + std::string(match_op_text(matcher.op()));
      telemetry::append_go_quoted(text, matcher.value());
    }
    out.push_back(text + "}");
  };
  if (const auto* selector = std::get_if<VectorSelector>(&expr.node)) add(*selector);
  if (const auto* matrix = std::get_if<MatrixSelector>(&expr.node)) add(matrix->selector);
  for (const Expr* child : children(expr)) collect_selectors(*child, out);
}

std::string check_selectors(const json& item) {
  const auto parsed = parse(item["input"].get<std::string>());
  if (!parsed) return "refused: " + parsed.error().message;
  std::vector<std::string> selectors;
  collect_selectors(**parsed, selectors);
  return selectors == item["selectors"].get<std::vector<std::string>>() ? "" : "selectors differ";
}

std::string check_series(const json& item) {
  const auto parsed = parse_series_description(item["input"].get<std::string>());
  if (!item["ok"]) {
    if (parsed) return "accepted";
    const std::string wanted = item.value("error_contains", "");
    return parsed.error().message.contains(wanted) ? "" : "error is " + parsed.error().message;
  }
  if (!parsed) return "refused: " + parsed.error().message;
  std::map<std::string, std::string> labels;
  for (const telemetry::Label& label : parsed->labels) labels[label.name] = label.value;
  if (labels != item["labels"].get<std::map<std::string, std::string>>()) return "labels differ";
  if (parsed->items.size() != item["values"].size()) return "wrong number of values";
  for (std::size_t i = 0; i < parsed->items.size(); ++i) {
    const json& expected = item["values"][i];
    const SeriesItem& actual = parsed->items[i];
    if (expected.is_null() != std::holds_alternative<OmittedItem>(actual))
      return "omission differs";
    if (!expected.is_null() && std::get<double>(actual) != expected.get<double>()) {
      return "value " + std::to_string(i) + " differs";
    }
  }
  return "";
}

std::string check_histogram(const json& expected, const telemetry::FloatHistogram& actual) {
  const auto spans = [&](const char* key) {
    std::vector<telemetry::BucketSpan> result;
    for (const json& span : expected.value(key, json::array())) {
      result.push_back({.offset = span["offset"], .length = span["length"]});
    }
    return result;
  };
  const auto number = [&](const char* key) { return expected.value(key, 0.0); };
  const auto numbers = [&](const char* key) { return expected.value(key, std::vector<double>()); };
  static const std::map<std::string, telemetry::CounterResetHint> hints = {
      {"unknown", telemetry::CounterResetHint::Unknown},
      {"reset", telemetry::CounterResetHint::Reset},
      {"not_reset", telemetry::CounterResetHint::NotReset},
      {"gauge", telemetry::CounterResetHint::Gauge}};
  if (expected.value("Schema", 0) != actual.schema) return "schema";
  if (number("Sum") != actual.sum || number("Count") != actual.count) return "sum or count";
  if (number("ZeroCount") != actual.zero_count) return "zero count";
  if (number("ZeroThreshold") != actual.zero_threshold) return "zero threshold";
  if (numbers("PositiveBuckets") != actual.positive_counts) return "positive counts";
  if (numbers("NegativeBuckets") != actual.negative_counts) return "negative counts";
  if (numbers("CustomValues") != actual.custom_values) return "custom values";
  if (spans("PositiveSpans") != actual.positive_spans) return "positive spans";
  if (spans("NegativeSpans") != actual.negative_spans) return "negative spans";
  if (hints.at(expected.value("CounterResetHint", "unknown")) != actual.hint) return "hint";
  return "";
}

// The reference prints a token number of its generator in one message.
bool is_same_error(const std::string& actual, std::string expected) {
  const std::size_t start = expected.find("\"<Item ");
  if (start == std::string::npos) return actual == expected;
  return actual.contains(expected.substr(0, start)) && actual.ends_with("in series values");
}

std::string check_histograms(const json& item) {
  const auto parsed = parse_series_description(item["input"].get<std::string>());
  if (!item["ok"]) {
    if (parsed) return "accepted";
    return is_same_error(parsed.error().message, item["error"])
               ? ""
               : "error is " + parsed.error().message;
  }
  if (!parsed) return "refused: " + parsed.error().message;
  const json& expected = item["histograms"];
  if (parsed->items.size() != expected.size()) return "wrong number of histograms";
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto* histogram = std::get_if<SeriesHistogram>(&parsed->items[i]);
    if (histogram == nullptr) return "not a histogram";
    const std::string difference = check_histogram(expected[i], *histogram->histogram);
    if (!difference.empty()) return std::to_string(i) + ": different " + difference;
  }
  return "";
}

/// The number of a section's cases: a newer set of cases must not be run in part unnoticed.
struct Section {
  const char* name;
  std::function<std::string(const json&)> check;
  std::size_t count;
};

TEST(ParserConformance, AllCases) {
  const std::filesystem::path path =
      std::filesystem::path(conformance_directory()) / "promql" / "parse_cases.json";
  std::ifstream file(path);
  if (!file.is_open()) {
    GTEST_SKIP() << path << " is not there: set GANTRY_CONFORMANCE_DIR to the conformance data";
  }
  const json cases = json::parse(file);
  const Section sections[] = {
      {"expressions", check_expression, 356},
      {"printer", check_printed, 86},
      {"pretty", check_pretty, 62},
      {"series_descriptions", check_series, 29},
      {"histogram_series", check_histograms, 25},
      {"extract_selectors", check_selectors, 5},
  };
  std::set<std::string> names = {"origin", "notes"};
  for (const Section& section : sections) {
    names.insert(section.name);
    const json& items = cases[section.name];
    EXPECT_EQ(items.size(), section.count) << section.name;
    std::size_t passed = 0;
    std::size_t index = 0;
    for (const json& item : items) {
      const std::string failure = section.check(item);
      if (failure.empty()) ++passed;
      EXPECT_EQ(failure, "")
          << section.name << "/" << index << ": "
          << item.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 400);
      ++index;
    }
    std::printf("%-20s %zu/%zu\n", section.name, passed, items.size());
  }
  for (const auto& [name, section] : cases.items()) {
    EXPECT_TRUE(names.contains(name)) << "nothing checks the section " << name;
  }
}

}  // namespace
}  // namespace gantry::promql
