#pragma once

// Numbers as Prometheus prints and reads them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gantry::core {

/// Appends the shortest decimal that round-trips, as Go's strconv.FormatFloat(v, 'f', -1, 64):
/// never an exponent. NaN, +Inf, -Inf.
void append_float_plain(std::string& out, double value);

/// As the Prometheus HTTP API prints sample values: shortest, plain, but exponent form with at
/// least two exponent digits when |v| < 1e-6 or |v| >= 1e21. NaN, +Inf, -Inf; negative zero is
/// "-0".
void append_float_api(std::string& out, double value);

/// As Go's %g with shortest precision: exponent when the decimal exponent is < -4 or >= 6, so that
/// a million is 1e+06. Annotations, labels and exposition use it.
void append_float_general(std::string& out, double value);

/// A millisecond timestamp as decimal seconds: 1435781451.781, 1435781451.700, 1435781451, -0.001.
void append_seconds(std::string& out, std::int64_t timestamp_ms);

/// Go's strconv.ParseFloat for decimal input: optional sign, digits with optional fraction and
/// exponent, inf/infinity/nan in any case. No hexadecimal, no underscores. Overflow gives +-Inf as
/// std::nullopt; underflow gives 0.
[[nodiscard]] std::optional<double> parse_float(std::string_view text);

}  // namespace gantry::core
