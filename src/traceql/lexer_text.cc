#include "traceql/lexer_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "core/utf8.h"

namespace gantry::traceql {

namespace {

using Entry = std::pair<std::string_view, TokenKind>;

constexpr auto kTokens = std::to_array<Entry>({
    {"{", TokenKind::LeftBrace},
    {"}", TokenKind::RightBrace},
    {"(", TokenKind::LeftParen},
    {")", TokenKind::RightParen},
    {",", TokenKind::Comma},
    {"|", TokenKind::Pipe},
    {".", TokenKind::Dot},
    {"span.", TokenKind::SpanDot},
    {"resource.", TokenKind::ResourceDot},
    {"event.", TokenKind::EventDot},
    {"link.", TokenKind::LinkDot},
    {"instrumentation.", TokenKind::InstrumentationDot},
    {"parent.", TokenKind::ParentDot},
    {"span:", TokenKind::SpanColon},
    {"trace:", TokenKind::TraceColon},
    {"event:", TokenKind::EventColon},
    {"link:", TokenKind::LinkColon},
    {"instrumentation:", TokenKind::InstrumentationColon},
    {"+", TokenKind::Add},
    {"-", TokenKind::Subtract},
    {"*", TokenKind::Multiply},
    {"/", TokenKind::Divide},
    {"%", TokenKind::Modulo},
    {"^", TokenKind::Power},
    {"=", TokenKind::Equal},
    {"!=", TokenKind::NotEqual},
    {"<", TokenKind::Less},
    {"<=", TokenKind::LessOrEqual},
    {">", TokenKind::Greater},
    {">=", TokenKind::GreaterOrEqual},
    {"=~", TokenKind::Regex},
    {"!~", TokenKind::NotRegex},
    {"&&", TokenKind::And},
    {"||", TokenKind::Or},
    {"!", TokenKind::Not},
    {">>", TokenKind::Descendant},
    {"<<", TokenKind::Ancestor},
    {"~", TokenKind::Sibling},
    {"!>", TokenKind::NotChild},
    {"!>>", TokenKind::NotDescendant},
    {"!<", TokenKind::NotParent},
    {"!<<", TokenKind::NotAncestor},
    {"&>", TokenKind::UnionChild},
    {"&>>", TokenKind::UnionDescendant},
    {"&<", TokenKind::UnionParent},
    {"&<<", TokenKind::UnionAncestor},
    {"&~", TokenKind::UnionSibling},
    {"true", TokenKind::True},
    {"false", TokenKind::False},
    {"nil", TokenKind::Nil},
    {"minInt", TokenKind::MinInt},
    {"maxInt", TokenKind::MaxInt},
    {"ok", TokenKind::Ok},
    {"error", TokenKind::ErrorStatus},
    {"unset", TokenKind::Unset},
    {"unspecified", TokenKind::Unspecified},
    {"internal", TokenKind::Internal},
    {"server", TokenKind::Server},
    {"client", TokenKind::Client},
    {"producer", TokenKind::Producer},
    {"consumer", TokenKind::Consumer},
    {"name", TokenKind::Name},
    {"duration", TokenKind::DurationWord},
    {"status", TokenKind::Status},
    {"statusMessage", TokenKind::StatusMessage},
    {"kind", TokenKind::Kind},
    {"childCount", TokenKind::ChildCount},
    {"id", TokenKind::Id},
    {"parentID", TokenKind::ParentId},
    {"parent", TokenKind::Parent},
    {"traceDuration", TokenKind::TraceDuration},
    {"rootName", TokenKind::RootName},
    {"rootService", TokenKind::RootService},
    {"rootServiceName", TokenKind::RootServiceName},
    {"timeSinceStart", TokenKind::TimeSinceStart},
    {"traceID", TokenKind::TraceId},
    {"spanID", TokenKind::SpanId},
    {"version", TokenKind::Version},
    {"nestedSetLeft", TokenKind::NestedSetLeft},
    {"nestedSetRight", TokenKind::NestedSetRight},
    {"nestedSetParent", TokenKind::NestedSetParent},
    {"count", TokenKind::Count},
    {"min", TokenKind::Min},
    {"max", TokenKind::Max},
    {"avg", TokenKind::Avg},
    {"sum", TokenKind::Sum},
    {"by", TokenKind::By},
    {"coalesce", TokenKind::Coalesce},
    {"select", TokenKind::Select},
    {"with", TokenKind::With},
    {"rate", TokenKind::Rate},
    {"count_over_time", TokenKind::CountOverTime},
    {"min_over_time", TokenKind::MinOverTime},
    {"max_over_time", TokenKind::MaxOverTime},
    {"sum_over_time", TokenKind::SumOverTime},
    {"avg_over_time", TokenKind::AvgOverTime},
    {"quantile_over_time", TokenKind::QuantileOverTime},
    {"histogram_over_time", TokenKind::HistogramOverTime},
    {"compare", TokenKind::Compare},
    {"topk", TokenKind::TopK},
    {"bottomk", TokenKind::BottomK},
});

constexpr auto kTokensByText = [] {
  auto sorted = kTokens;
  std::ranges::sort(sorted, {}, &Entry::first);
  return sorted;
}();

struct DurationUnit {
  std::string_view text;
  std::int64_t nanoseconds;
};

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMillisecond;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

constexpr auto kPrometheusUnits = std::to_array<DurationUnit>({{"y", 365 * kDay},
                                                               {"w", 7 * kDay},
                                                               {"d", kDay},
                                                               {"h", kHour},
                                                               {"m", kMinute},
                                                               {"s", kSecond},
                                                               {"ms", kMillisecond}});

constexpr auto kGoUnits = std::to_array<DurationUnit>({{"ns", 1},
                                                       {"us", 1000},
                                                       {"µs", 1000},  // U+00B5
                                                       {"μs", 1000},  // U+03BC
                                                       {"ms", kMillisecond},
                                                       {"s", kSecond},
                                                       {"m", kMinute},
                                                       {"h", kHour}});

// Both parsers are checked against the same bound; Go's is 2^63 - 1 as well.
constexpr auto kDurationMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

std::string_view take_while(std::string_view& text, bool (*belongs)(char)) {
  const auto end = std::ranges::find_if_not(text, belongs);
  const std::string_view taken = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(taken.size());
  return taken;
}

bool add_product(std::uint64_t& total, std::uint64_t value, std::int64_t unit) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(value, static_cast<std::uint64_t>(unit), &product)) return false;
  if (__builtin_add_overflow(total, product, &total)) return false;
  return total <= kDurationMax;
}

std::optional<std::uint64_t> read_digits(std::string_view digits) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (read.ec != std::errc{}) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_prometheus_duration(std::string_view text) {
  std::uint64_t total = 0;
  std::size_t unit_min = 0;
  while (!text.empty()) {
    const auto value = read_digits(take_while(text, is_digit));
    const std::string_view unit = take_while(text, [](char c) { return !is_digit(c); });
    const auto found = std::ranges::find(kPrometheusUnits, unit, &DurationUnit::text);
    const auto index = static_cast<std::size_t>(found - kPrometheusUnits.begin());
    if (!value || found == kPrometheusUnits.end() || index < unit_min) return std::nullopt;
    unit_min = index + 1;
    if (!add_product(total, *value, found->nanoseconds)) return std::nullopt;
  }
  return static_cast<std::int64_t>(total);
}

// The part of a unit behind the decimal point, cut to nanoseconds. Digits beyond what 64 bits hold
// cannot matter, as in Go.
std::uint64_t scale_fraction(std::string_view digits, std::int64_t unit) {
  std::uint64_t fraction = 0;
  double scale = 1;
  for (const char c : digits) {
    if (fraction > (kDurationMax - 9) / 10) break;
    fraction = fraction * 10 + static_cast<std::uint64_t>(c - '0');
    scale *= 10;
  }
  return static_cast<std::uint64_t>(static_cast<double>(fraction) *
                                    (static_cast<double>(unit) / scale));
}

std::optional<std::int64_t> parse_go_duration(std::string_view text) {
  std::uint64_t total = 0;
  while (!text.empty()) {
    const std::string_view whole = take_while(text, is_digit);
    std::string_view fraction;
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      fraction = take_while(text, is_digit);
    }
    const std::string_view unit = take_while(text, [](char c) { return !is_digit(c) && c != '.'; });
    const auto found = std::ranges::find(kGoUnits, unit, &DurationUnit::text);
    if (found == kGoUnits.end() || (whole.empty() && fraction.empty())) return std::nullopt;
    const auto value = whole.empty() ? std::optional<std::uint64_t>(0) : read_digits(whole);
    if (!value || !add_product(total, *value, found->nanoseconds)) return std::nullopt;
    if (!add_product(total, scale_fraction(fraction, found->nanoseconds), 1)) return std::nullopt;
  }
  return static_cast<std::int64_t>(total);
}

std::optional<std::uint32_t> read_code(std::string_view digits, std::size_t count, int base) {
  if (digits.size() < count) return std::nullopt;
  std::uint32_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + count, value, base);
  if (read.ec != std::errc{} || read.ptr != digits.data() + count) return std::nullopt;
  return value;
}

bool append_code_point(std::string& out, std::uint32_t code) {
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  core::append_utf8(out, static_cast<char32_t>(code));
  return true;
}

}  // namespace

bool is_space(char32_t c) {
  if ((c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xA0) return true;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_attribute_character(char32_t c) {
  constexpr std::u32string_view kEnds = U"{}()=~!<>&|^,";
  return !is_space(c) && !kEnds.contains(c);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_word_character(char c) {
  return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::optional<TokenKind> find_token(std::string_view text) {
  const auto found = std::ranges::lower_bound(kTokensByText, text, {}, &Entry::first);
  if (found == kTokensByText.end() || found->first != text) return std::nullopt;
  return found->second;
}

std::string_view token_text(TokenKind kind) {
  const auto found = std::ranges::find(kTokens, kind, &Entry::second);
  return found == kTokens.end() ? std::string_view() : found->first;
}

std::size_t read_escape(std::string_view text, std::string& out) {
  constexpr std::string_view kLetters = "abfnrtv\\\"";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\\"";
  if (text.empty()) return 0;
  if (const std::size_t letter = kLetters.find(text[0]); letter != std::string_view::npos) {
    out += kMeanings[letter];
    return 1;
  }
  if (text[0] == 'x') {
    const auto byte = read_code(text.substr(1), 2, 16);
    if (!byte) return 0;
    out += static_cast<char>(*byte);
    return 3;
  }
  if (text[0] == 'u' || text[0] == 'U') {
    const std::size_t count = text[0] == 'u' ? 4 : 8;
    const auto code = read_code(text.substr(1), count, 16);
    return code && append_code_point(out, *code) ? count + 1 : 0;
  }
  const auto byte = read_code(text, 3, 8);
  if (!byte || *byte > 0xFF) return 0;
  out += static_cast<char>(*byte);
  return 3;
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
  if (const auto duration = parse_prometheus_duration(text)) return duration;
  return parse_go_duration(text);
}

}  // namespace gantry::traceql
