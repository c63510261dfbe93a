#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "core/byte_size.h"
#include "core/duration.h"
#include "server/settings.h"

namespace gantry::server {
namespace {

template <class Enum>
struct Word {
  std::string_view text;
  Enum value;
};

constexpr std::array kLevels = {
    Word<log::Level>{"debug", log::Level::Debug}, Word<log::Level>{"info", log::Level::Info},
    Word<log::Level>{"warn", log::Level::Warn}, Word<log::Level>{"error", log::Level::Error}};
constexpr std::array kFormats = {Word<log::Format>{"logfmt", log::Format::Logfmt},
                                 Word<log::Format>{"json", log::Format::Json}};
constexpr std::array kDurabilities = {
    Word<metrics::Durability>{"synced", metrics::Durability::Synced},
    Word<metrics::Durability>{"written", metrics::Durability::Written}};
constexpr std::array kStrategies = {
    Word<codec::TranslationStrategy>{"UnderscoreEscapingWithSuffixes",
                                     codec::TranslationStrategy::UnderscoreEscapingWithSuffixes},
    Word<codec::TranslationStrategy>{"UnderscoreEscapingWithoutSuffixes",
                                     codec::TranslationStrategy::UnderscoreEscapingWithoutSuffixes},
    Word<codec::TranslationStrategy>{"NoUTF8EscapingWithSuffixes",
                                     codec::TranslationStrategy::NoUtf8EscapingWithSuffixes},
    Word<codec::TranslationStrategy>{"NoTranslation", codec::TranslationStrategy::NoTranslation}};
constexpr std::array kHistograms = {
    Word<codec::ExplicitHistograms>{"classic", codec::ExplicitHistograms::Classic},
    Word<codec::ExplicitHistograms>{"custom_buckets", codec::ExplicitHistograms::CustomBuckets}};
constexpr std::array kDeltas = {
    Word<codec::DeltaPolicy>{"reject", codec::DeltaPolicy::Reject},
    Word<codec::DeltaPolicy>{"native", codec::DeltaPolicy::Native},
    Word<codec::DeltaPolicy>{"to_cumulative", codec::DeltaPolicy::ToCumulative}};
constexpr std::array kInfluxMappings = {
    Word<codec::InfluxMapping>{"grafana_cloud", codec::InfluxMapping::GrafanaCloud},
    Word<codec::InfluxMapping>{"victoriametrics", codec::InfluxMapping::VictoriaMetrics}};

constexpr std::array kClientAuthentications = {
    Word<access::ClientAuthentication>{"client_secret_basic",
                                       access::ClientAuthentication::SecretBasic},
    Word<access::ClientAuthentication>{"client_secret_post",
                                       access::ClientAuthentication::SecretPost},
    Word<access::ClientAuthentication>{"private_key_jwt",
                                       access::ClientAuthentication::PrivateKeyJwt}};

constexpr std::array kHiddenSpans = {
    Word<access::HiddenSpans>{"drop", access::HiddenSpans::Drop},
    Word<access::HiddenSpans>{"skeleton", access::HiddenSpans::Skeleton}};

constexpr std::array kSealAlgorithms = {
    Word<access::SealAlgorithm>{"standard", access::SealAlgorithm::XChaCha20Poly1305},
    Word<access::SealAlgorithm>{"fips", access::SealAlgorithm::Aes256Gcm}};

template <class Enum>
constexpr std::span<const Word<Enum>> words();

template <>
constexpr std::span<const Word<access::SealAlgorithm>> words() {
  return kSealAlgorithms;
}

template <>
constexpr std::span<const Word<access::HiddenSpans>> words() {
  return kHiddenSpans;
}

template <>
constexpr std::span<const Word<access::ClientAuthentication>> words() {
  return kClientAuthentications;
}

template <>
constexpr std::span<const Word<log::Level>> words() {
  return kLevels;
}

template <>
constexpr std::span<const Word<log::Format>> words() {
  return kFormats;
}

template <>
constexpr std::span<const Word<metrics::Durability>> words() {
  return kDurabilities;
}

template <>
constexpr std::span<const Word<codec::TranslationStrategy>> words() {
  return kStrategies;
}

template <>
constexpr std::span<const Word<codec::ExplicitHistograms>> words() {
  return kHistograms;
}

template <>
constexpr std::span<const Word<codec::DeltaPolicy>> words() {
  return kDeltas;
}

template <>
constexpr std::span<const Word<codec::InfluxMapping>> words() {
  return kInfluxMappings;
}

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return fail(Code::InvalidArgument, fmt::format("\"{}\" is not a whole number", text));
  return value;
}

std::string format_number(SettingKind kind, std::uint64_t value) {
  if (kind == SettingKind::Bytes) return core::format_byte_size(value);
  if (kind == SettingKind::Duration)
    return core::format_duration({static_cast<std::int64_t>(value)});
  return std::to_string(value);
}

Result<void> check_range(const Setting& setting, std::uint64_t value) {
  if (value < setting.least)
    return fail(Code::InvalidArgument,
                fmt::format("{} is too small, the least is {}", format_number(setting.kind, value),
                            format_number(setting.kind, setting.least)));
  if (value > setting.most)
    return fail(Code::InvalidArgument,
                fmt::format("{} is too large, the most is {}", format_number(setting.kind, value),
                            format_number(setting.kind, setting.most)));
  return {};
}

Result<std::uint64_t> parse_number(const Setting& setting, std::string_view text) {
  if (setting.kind == SettingKind::Bytes) {
    auto bytes = core::parse_byte_size(text);
    if (!bytes)
      return fail(Code::InvalidArgument, fmt::format("\"{}\" is not a size such as 64MiB", text));
    return bytes;
  }
  if (setting.kind == SettingKind::Duration) {
    const auto duration = core::parse_duration(text);
    if (!duration)
      return fail(Code::InvalidArgument,
                  fmt::format("\"{}\" is not a duration such as 30s or 1h30m", text));
    return static_cast<std::uint64_t>(duration->count);
  }
  return parse_count(text);
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
  }
  return items;
}

Result<void> assign_to(std::string* slot, const Setting&, std::string_view text) {
  *slot = text;
  return {};
}

Result<void> assign_to(bool* slot, const Setting&, std::string_view text) {
  if (text != "true" && text != "false")
    return fail(Code::InvalidArgument, fmt::format("\"{}\" is not true or false", text));
  *slot = text == "true";
  return {};
}

Result<void> assign_to(std::vector<std::string>* slot, const Setting&, std::string_view text) {
  *slot = split_list(text);
  return {};
}

Result<void> assign_to(std::uint64_t* slot, const Setting& setting, std::string_view text) {
  GANTRY_TRY(const std::uint64_t value, parse_number(setting, text));
  GANTRY_CHECK(check_range(setting, value));
  *slot = value;
  return {};
}

Result<void> assign_to(std::uint32_t* slot, const Setting& setting, std::string_view text) {
  Setting narrow = setting;
  narrow.most = std::min<std::uint64_t>(setting.most, std::numeric_limits<std::uint32_t>::max());
  std::uint64_t value = 0;
  GANTRY_CHECK(assign_to(&value, narrow, text));
  *slot = static_cast<std::uint32_t>(value);
  return {};
}

Result<void> assign_to(DurationMs* slot, const Setting& setting, std::string_view text) {
  std::uint64_t value = 0;
  GANTRY_CHECK(assign_to(&value, setting, text));
  slot->count = static_cast<std::int64_t>(value);
  return {};
}

template <class Enum>
  requires std::is_enum_v<Enum>
Result<void> assign_to(Enum* slot, const Setting& setting, std::string_view text) {
  for (const auto& word : words<Enum>())
    if (word.text == text) {
      *slot = word.value;
      return {};
    }
  return fail(Code::InvalidArgument,
              fmt::format("\"{}\" is not one of {}", text, fmt::join(choice_words(setting), ", ")));
}

template <class T>
std::string format_slot(const T* slot, const Setting& setting) {
  if constexpr (std::is_same_v<T, std::string>) {
    return *slot;
  } else if constexpr (std::is_same_v<T, bool>) {
    return *slot ? "true" : "false";
  } else if constexpr (std::is_same_v<T, DurationMs>) {
    return core::format_duration(*slot);
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    return fmt::format("{}", fmt::join(*slot, ","));
  } else if constexpr (std::is_enum_v<T>) {
    const auto all = words<T>();
    return std::string(std::ranges::find(all, *slot, &Word<T>::value)->text);
  } else {
    return format_number(setting.kind, *slot);
  }
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

}  // namespace

Result<void> assign(Config& config, const Setting& setting, std::string_view text) {
  return std::visit([&](auto* slot) { return assign_to(slot, setting, text); },
                    setting.slot(config));
}

std::string format_value(const Config& config, const Setting& setting) {
  // A slot is a place in a Config that may be changed; reading one needs a Config of our own.
  Config copy = config;
  return std::visit([&](const auto* slot) { return format_slot(slot, setting); },
                    setting.slot(copy));
}

std::vector<std::string_view> choice_words(const Setting& setting) {
  Config any;
  return std::visit(
      []<class T>(T*) {
        std::vector<std::string_view> result;
        if constexpr (std::is_enum_v<T>)
          for (const auto& word : words<T>()) result.push_back(word.text);
        return result;
      },
      setting.slot(any));
}

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates) {
  // A third of the word, at most: more edits than that is another word.
  const std::size_t edits_max = std::clamp<std::size_t>(word.size() / 3, 1, 4);
  std::string_view nearest;
  std::size_t least = edits_max + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t edits = edit_distance(word, candidate);
    if (edits >= least) continue;
    least = edits;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace gantry::server
