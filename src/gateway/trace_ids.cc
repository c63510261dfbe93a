#include "gateway/trace_ids.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/sha256.h"

namespace gantry::gateway {
namespace {

using telemetry::SpanId;
using telemetry::TraceId;

constexpr std::string_view kLowerHexDigits = "0123456789abcdef";

SpanId span_id_of(const core::Sha256Digest& digest) {
  SpanId id = 0;
  for (std::size_t i = 0; i < sizeof(id); ++i) id = id << 8U | digest[i];
  return id;
}

TraceId trace_id_of(const core::Sha256Digest& digest) {
  TraceId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

std::optional<std::uint8_t> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

/// False unless `text` is exactly the digits of `bytes`, at least one of them not zero.
bool parse_hex(std::string_view text, std::span<std::uint8_t> bytes) {
  if (text.size() != 2 * bytes.size()) return false;
  bool is_zero = true;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto high = hex_value(text[2 * i]);
    const auto low = hex_value(text[2 * i + 1]);
    if (!high || !low) return false;
    bytes[i] = static_cast<std::uint8_t>(*high << 4U | *low);
    is_zero = is_zero && bytes[i] == 0;
  }
  return !is_zero;
}

/// A UUID's 32 digits; anything else as it is.
std::string without_dashes(std::string_view text) {
  constexpr std::size_t kUuidBytes = 36;
  std::string digits(text);
  if (text.size() != kUuidBytes) return digits;
  for (const std::size_t dash : {23U, 18U, 13U, 8U}) {
    if (text[dash] != '-') return std::string(text);
    digits.erase(dash, 1);
  }
  return digits;
}

}  // namespace

TraceId derive_trace_id(std::string_view given, std::string_view generation_id) {
  if (given.empty()) return trace_id_of(core::sha256({generation_id}));
  TraceId id;
  if (parse_hex(given, id.bytes) || parse_hex(without_dashes(given), id.bytes)) return id;
  return trace_id_of(core::sha256({given}));
}

SpanId derive_parent_id(std::string_view given) {
  if (given.empty()) return 0;
  std::array<std::uint8_t, sizeof(SpanId)> bytes{};
  if (!parse_hex(given, bytes)) return span_id_of(core::sha256({given}));
  SpanId id = 0;
  for (const std::uint8_t byte : bytes) id = id << 8U | byte;
  return id;
}

SpanId derive_span_id(std::string_view generation_id, std::string_view suffix) {
  return span_id_of(core::sha256({generation_id, suffix}));
}

std::optional<TraceParent> parse_traceparent(std::string_view header) {
  // 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
  constexpr std::size_t kBytes = 55;
  if (header.size() != kBytes || !header.starts_with("00-") || header[35] != '-' ||
      header[52] != '-') {
    return std::nullopt;
  }
  const TraceParent ids{.trace_id = header.substr(3, 32), .parent_id = header.substr(36, 16)};
  for (const std::string_view digits : {ids.trace_id, ids.parent_id, header.substr(53)}) {
    if (digits.find_first_not_of(kLowerHexDigits) != std::string_view::npos) return std::nullopt;
  }
  const auto is_zero = [](std::string_view digits) {
    return digits.find_first_not_of('0') == std::string_view::npos;
  };
  if (is_zero(ids.trace_id) || is_zero(ids.parent_id)) return std::nullopt;
  return ids;
}

}  // namespace gantry::gateway
