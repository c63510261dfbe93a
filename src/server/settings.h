#pragma once

// The one table of settings: what a key is called, where its value lives in Config, how it is
// written, and what it means. Parsers, printers and the documentation all walk it.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.h"
#include "server/config.h"

namespace gantry::server {

enum class SettingKind : std::uint8_t {
  Text,
  Switch,    ///< true or false
  Count,     ///< A whole number.
  Bytes,     ///< 64MiB
  Duration,  ///< 1h30m
  Choice,    ///< One of a few words.
  Secret,    ///< Text that is never shown.
  List,      ///< A YAML sequence; elsewhere separated by commas.
};

using SettingSlot =
    std::variant<std::string*, bool*, std::uint32_t*, std::uint64_t*, DurationMs*,
                 std::vector<std::string>*, log::Level*, log::Format*, metrics::Durability*,
                 codec::TranslationStrategy*, codec::ExplicitHistograms*, codec::DeltaPolicy*,
                 codec::InfluxMapping*, access::ClientAuthentication*, access::HiddenSpans*,
                 access::SealAlgorithm*>;

struct Setting {
  std::string_view key;  ///< "limits.active_series_max"
  SettingKind kind = SettingKind::Text;
  bool is_reloadable = false;    ///< SIGHUP applies a change.
  SettingSlot (*slot)(Config&);  ///< Where its value lives.
  std::string_view help;         ///< One sentence or two.
  std::uint64_t least = 0;       ///< Of counts, bytes and milliseconds.
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

/// In the order of the documentation: keys of one section are neighbours.
[[nodiscard]] std::span<const Setting> settings();

/// Null for an unknown key.
[[nodiscard]] const Setting* find_setting(std::string_view key);

/// "GANTRY_LIMITS_ACTIVE_SERIES_MAX"
[[nodiscard]] std::string environment_name(const Setting& setting);

/// Sets the field from text as an operator writes it. Errors (InvalidArgument): what was expected
/// and what was found, without the key.
[[nodiscard]] Result<void> assign(Config& config, const Setting& setting, std::string_view text);

/// The value as `assign` reads it.
[[nodiscard]] std::string format_value(const Config& config, const Setting& setting);

/// The words of a Choice, in order; empty for other kinds.
[[nodiscard]] std::vector<std::string_view> choice_words(const Setting& setting);

/// The candidate with the fewest edits from `word`, when they are few enough for a typing error;
/// "" otherwise.
[[nodiscard]] std::string_view nearest_word(std::string_view word,
                                            std::span<const std::string_view> candidates);

}  // namespace gantry::server
