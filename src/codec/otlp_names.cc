#include "codec/otlp_names.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "codec/series_labels.h"
#include "core/utf8.h"

namespace gantry::codec {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// UCUM codes that instruments use, as the words of Prometheus' naming conventions. "TiBy" is
// written as Prometheus writes it. Only capital K makes kilobytes.
constexpr std::array<Pair, 26> kMainUnits = {{
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
}};

constexpr std::array<Pair, 7> kPerUnits = {{
    {"s", "second"},
    {"m", "minute"},
    {"h", "hour"},
    {"d", "day"},
    {"w", "week"},
    {"mo", "month"},
    {"y", "year"},
}};

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_only_underscores(std::string_view text) {
  return text.find_first_not_of('_') == std::string_view::npos;
}

std::string_view trim_spaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

template <std::size_t N>
std::string_view word_of(const std::array<Pair, N>& table, std::string_view code) {
  for (const auto& [known, word] : table) {
    if (known == code) return word;
  }
  return code;
}

/// What a name may not hold becomes an underscore; runs of them become one, leading ones go.
std::string clean_unit(std::string_view unit) {
  std::string clean;
  for (const char c : unit) {
    const bool is_kept = is_letter_or_digit(c) || c == ':';
    if (is_kept) {
      clean.push_back(c);
    } else if (!clean.empty() && clean.back() != '_') {
      clean.push_back('_');
    }
  }
  return clean;
}

struct UnitWords {
  std::string main;
  std::string per;  ///< Without "per_".
};

UnitWords unit_words(std::string_view unit) {
  const std::size_t slash = std::min(unit.find('/'), unit.size());
  const auto part = [](std::string_view text) {
    text = trim_spaces(text);
    return text.find_first_of("{}") == std::string_view::npos ? text : std::string_view();
  };
  const std::string_view main = part(unit.substr(0, slash));
  const std::string_view per =
      slash < unit.size() ? part(unit.substr(slash + 1)) : std::string_view();
  return {.main = clean_unit(word_of(kMainUnits, main)),
          .per = clean_unit(word_of(kPerUnits, per))};
}

/// Pieces of `text` between characters that are neither letters, digits, colons nor `extra`.
std::vector<std::string_view> split_tokens(std::string_view text, char extra) {
  std::vector<std::string_view> tokens;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && (is_letter_or_digit(text[i]) || text[i] == ':' || text[i] == extra)) {
      continue;
    }
    if (i > begin) tokens.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  return tokens;
}

std::string join_tokens(const std::vector<std::string_view>& tokens) {
  std::string joined;
  for (const std::string_view token : tokens) {
    if (!joined.empty()) joined.push_back('_');
    joined.append(token);
  }
  return joined;
}

std::string escaped_with_suffixes(std::string_view name, std::string_view unit, NameType type,
                                  std::string_view name_space) {
  std::vector<std::string_view> tokens = split_tokens(name, ':');
  const UnitWords units = unit_words(unit);
  const auto has_token = [&](std::string_view word) {
    return std::ranges::find(tokens, word) != tokens.end();
  };
  const bool has_main = units.main.empty() || has_token(units.main);
  const bool has_per = units.per.empty() || has_token(units.per);
  if (!has_main) tokens.emplace_back(units.main);
  if (!has_per) {
    tokens.emplace_back("per");
    tokens.emplace_back(units.per);
  }
  if (type == NameType::MonotonicSum) {
    std::erase(tokens, "total");
    tokens.emplace_back("total");
  } else if (type == NameType::Gauge && unit == "1") {
    std::erase(tokens, "ratio");
    tokens.emplace_back("ratio");
  }
  const std::string prefix = join_tokens(split_tokens(name_space, '_'));
  if (!prefix.empty()) tokens.insert(tokens.begin(), prefix);
  std::string result = join_tokens(tokens);
  if (!result.empty() && is_digit(result.front())) result.insert(result.begin(), '_');
  return result;
}

std::string escaped_without_suffixes(std::string_view name, std::string_view name_space) {
  std::string result = join_tokens(split_tokens(name, '_'));
  const std::string prefix = join_tokens(split_tokens(name_space, '_'));
  if (!prefix.empty()) return prefix + "_" + result;
  if (!result.empty() && is_digit(result.front())) result.insert(result.begin(), '_');
  return result;
}

std::string_view without_suffix(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix) || name.size() <= suffix.size() + 1) return name;
  return name.substr(0, name.size() - suffix.size() - 1);
}

std::string utf8_with_suffixes(std::string_view name, std::string_view unit, NameType type,
                               std::string_view name_space) {
  std::string prefixed(name_space);
  if (!prefixed.empty()) prefixed += '_';
  prefixed += name;
  std::string_view base = prefixed;
  const bool is_ratio = type == NameType::Gauge && unit == "1";
  if (is_ratio) base = without_suffix(base, "ratio");
  if (type == NameType::MonotonicSum) base = without_suffix(base, "total");
  const UnitWords units = unit_words(unit);
  const std::string per = units.per.empty() ? std::string() : "per_" + units.per;
  if (!per.empty()) base = without_suffix(base, per);
  std::string result(base);
  if (!units.main.empty() && !base.ends_with(units.main)) result += "_" + units.main;
  if (!per.empty()) result += "_" + per;
  if (type == NameType::MonotonicSum) result += "_total";
  if (is_ratio) result += "_ratio";
  return result;
}

std::string replace_invalid(std::string_view key) {
  std::string out;
  out.reserve(key.size() + 4);
  for (std::size_t i = 0; i < key.size();) {
    if (is_letter_or_digit(key[i]) || static_cast<unsigned char>(key[i]) < 0x80) {
      out.push_back(is_letter_or_digit(key[i]) ? key[i] : '_');
      ++i;
    } else {
      out.push_back('_');
      static_cast<void>(core::next_code_point(key, i));
    }
  }
  return out;
}

void collapse_underscores(std::string& name) {
  constexpr std::string_view kReserved = "__";
  const bool is_reserved = name.size() > 2 * kReserved.size() && name.starts_with(kReserved) &&
                           name.ends_with(kReserved);
  const auto repeated = [](char a, char b) { return a == '_' && b == '_'; };
  name.erase(std::unique(name.begin(), name.end(), repeated), name.end());
  // One underscore of each pair is left.
  if (is_reserved) name = "_" + name + "_";
}

}  // namespace

Result<TranslationStrategy> parse_translation_strategy(std::string_view word) {
  using enum TranslationStrategy;
  if (word == "UnderscoreEscapingWithSuffixes") return UnderscoreEscapingWithSuffixes;
  if (word == "UnderscoreEscapingWithoutSuffixes") return UnderscoreEscapingWithoutSuffixes;
  if (word == "NoUTF8EscapingWithSuffixes") return NoUtf8EscapingWithSuffixes;
  if (word == "NoTranslation") return NoTranslation;
  return fail(Code::InvalidArgument,
              fmt::format("unknown translation strategy \"{}\": one of "
                          "UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, "
                          "NoUTF8EscapingWithSuffixes, NoTranslation",
                          excerpt(word, 64)));
}

Result<std::string> prometheus_metric_name(std::string_view name, std::string_view unit,
                                           NameType type, TranslationStrategy strategy,
                                           std::string_view name_space) {
  if (name.empty()) return fail(Code::InvalidArgument, "metric without a name");
  std::string result;
  switch (strategy) {
    case TranslationStrategy::UnderscoreEscapingWithSuffixes:
      result = escaped_with_suffixes(name, unit, type, name_space);
      break;
    case TranslationStrategy::UnderscoreEscapingWithoutSuffixes:
      result = escaped_without_suffixes(name, name_space);
      break;
    case TranslationStrategy::NoUtf8EscapingWithSuffixes:
      result = utf8_with_suffixes(name, unit, type, name_space);
      break;
    case TranslationStrategy::NoTranslation:
      result = name_space.empty() ? std::string(name) : fmt::format("{}_{}", name_space, name);
      break;
  }
  if (result.empty() || (is_only_underscores(result) && result != name)) {
    return fail(Code::InvalidArgument,
                fmt::format("metric name \"{}\" has no character that a Prometheus name may hold",
                            excerpt(name, 128)));
  }
  return result;
}

std::string prometheus_unit(std::string_view unit) {
  UnitWords words = unit_words(unit);
  if (words.per.empty()) return std::move(words.main);
  if (words.main.empty()) return "per_" + words.per;
  return words.main + "_per_" + words.per;
}

Result<void> prometheus_label_name(std::string_view key, const LabelNameOptions& options,
                                   std::string& out) {
  if (key.empty()) return fail(Code::InvalidArgument, "attribute without a key");
  if (escapes_names(options.strategy)) {
    out = replace_invalid(key);
    if (!options.keeps_repeated_underscores) collapse_underscores(out);
    if (is_digit(out.front())) {
      out.insert(0, "key_");
    } else if (options.prefixes_underscore && out.front() == '_' && !out.starts_with("__")) {
      out.insert(0, "key");
    }
  } else {
    out.assign(key);
  }
  if (is_only_underscores(out)) {
    return fail(Code::InvalidArgument,
                fmt::format("attribute \"{}\" has no character that a label name may hold",
                            excerpt(key, 128)));
  }
  return {};
}

}  // namespace gantry::codec
