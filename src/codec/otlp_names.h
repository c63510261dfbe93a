#pragma once

// OpenTelemetry names, units and attribute keys as Prometheus names.
//
// Source: the OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", with
// Prometheus' own choices where they differ.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::codec {

/// How names are made; the words of Prometheus' `translation_strategy`.
enum class TranslationStrategy : std::uint8_t {
  UnderscoreEscapingWithSuffixes,
  UnderscoreEscapingWithoutSuffixes,
  NoUtf8EscapingWithSuffixes,
  NoTranslation,
};

/// From the setting's word. Errors: InvalidArgument listing the four.
[[nodiscard]] Result<TranslationStrategy> parse_translation_strategy(std::string_view word);

[[nodiscard]] constexpr bool escapes_names(TranslationStrategy strategy) {
  return strategy == TranslationStrategy::UnderscoreEscapingWithSuffixes ||
         strategy == TranslationStrategy::UnderscoreEscapingWithoutSuffixes;
}

[[nodiscard]] constexpr bool adds_suffixes(TranslationStrategy strategy) {
  return strategy == TranslationStrategy::UnderscoreEscapingWithSuffixes ||
         strategy == TranslationStrategy::NoUtf8EscapingWithSuffixes;
}

/// What of a metric's type its name depends on.
enum class NameType : std::uint8_t { Gauge, MonotonicSum, Other };

/// Errors: InvalidArgument when nothing but underscores would be left of the name.
[[nodiscard]] Result<std::string> prometheus_metric_name(std::string_view name,
                                                         std::string_view unit, NameType type,
                                                         TranslationStrategy strategy,
                                                         std::string_view name_space = {});

/// The unit as metadata: "By/s" is "bytes_per_second".
[[nodiscard]] std::string prometheus_unit(std::string_view unit);

struct LabelNameOptions {
  TranslationStrategy strategy = TranslationStrategy::UnderscoreEscapingWithSuffixes;
  bool keeps_repeated_underscores = true;
  /// `_foo` becomes `key_foo`, so that names with one leading underscore stay free.
  bool prefixes_underscore = true;
};

/// Replaces `out` by the label name. Errors: InvalidArgument when the key is empty or nothing but
/// underscores would be left.
[[nodiscard]] Result<void> prometheus_label_name(std::string_view key,
                                                 const LabelNameOptions& options, std::string& out);

}  // namespace gantry::codec
