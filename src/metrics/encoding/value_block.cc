#include "metrics/encoding/value_block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "metrics/encoding/value_block_internal.h"
#include "storage/byte_cursor.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

// First byte of a block: the scheme in the low three bits, for Decimal the exponent above.
enum class Scheme : std::uint8_t {
  Constant = 0,  ///< The value, 8 bytes.
  Decimal = 1,   ///< Integer block of value * 10^exponent; varint exception count, exceptions.
  Bits = 2,      ///< Integer block of the values' bit patterns.
  Runs = 3,      ///< varint run count, value block of the runs' values, integer block of lengths.
  Raw = 4,       ///< 8 bytes each.
};
constexpr std::uint8_t kSchemeMask = 0x07;
constexpr unsigned kExponentShift = 3;

// ALP (Afroozeh, Kuffo, Boncz: SIGMOD 2023) with a division instead of a product for the way back:
// an integer below 2^53 over a power of ten up to 10^22 is the double nearest to that decimal.
constexpr unsigned kExponentMax = 15;
constexpr std::array<double, kExponentMax + 1> kPowersOfTen = {
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
/// Adding and subtracting it rounds |x| < 2^51 to the nearest integer.
constexpr double kRounding = 0x1.8p52;
constexpr double kScaledMax = 0x1p51;
/// Integers need no rounding, and are exact doubles at least up to here.
constexpr double kIntegerMax = 0x1p62;

constexpr std::size_t kSampleCount = 32;
constexpr std::size_t kSampleFailuresMax = 4;
constexpr std::size_t kRunLengthMin = 4;
constexpr int kExponentAttempts = 3;

struct Exception {
  std::uint32_t index = 0;
  double value = 0;
};

/// Scratch of one thread, grown once.
struct Scratch {
  std::vector<std::int64_t> integers;
  std::vector<Exception> exceptions;
  std::vector<std::byte> trial;
  std::vector<double> run_values;
  std::vector<std::int64_t> run_lengths;
};

Scratch& scratch() {
  thread_local Scratch instance;
  return instance;
}

std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

/// The integer that stands for `value` at this exponent, if it comes back bit by bit.
std::optional<std::int64_t> to_integer(double value, unsigned exponent) {
  const double power = kPowersOfTen[exponent];
  const double scaled = value * power;
  std::int64_t integer = 0;
  if (exponent == 0) {
    if (!(std::fabs(value) < kIntegerMax)) return std::nullopt;
    integer = static_cast<std::int64_t>(value);
  } else {
    if (!(std::fabs(scaled) < kScaledMax)) return std::nullopt;
    integer = static_cast<std::int64_t>(scaled + kRounding - kRounding);
  }
  if (bits_of(static_cast<double>(integer) / power) != bits_of(value)) return std::nullopt;
  return integer;
}

/// The least exponent from `exponent` on at which `value` is exact.
std::optional<unsigned> find_exponent(double value, unsigned exponent) {
  for (; exponent <= kExponentMax; ++exponent) {
    if (to_integer(value, exponent)) return exponent;
  }
  return std::nullopt;
}

/// From a sample. Nothing if too many of it are no decimals.
std::optional<unsigned> guess_exponent(std::span<const double> values) {
  const std::size_t count = std::min(values.size(), kSampleCount);
  unsigned exponent = 0;
  std::size_t failures = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double value = values[i * values.size() / count];
    // What is exact with few digits is so with more: no need to look for the least.
    if (to_integer(value, exponent)) continue;
    if (const auto found = find_exponent(value, exponent)) {
      exponent = *found;
    } else if (++failures > std::max(kSampleFailuresMax * count / kSampleCount, std::size_t{1})) {
      return std::nullopt;
    }
  }
  return exponent;
}

/// Fills scratch integers and exceptions. An exception takes its neighbour's integer, so that it
/// does not widen the packing. Hot: per sample.
void convert(std::span<const double> values, unsigned exponent, Scratch& space) {
  space.integers.resize(values.size());
  space.exceptions.clear();
  const double power = kPowersOfTen[exponent];
  const double bound = exponent == 0 ? kIntegerMax : kScaledMax;
  const double rounding = exponent == 0 ? 0 : kRounding;
  std::int64_t last = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    const double scaled = value * power;
    const bool is_inside = std::fabs(scaled) < bound;
    const auto integer = static_cast<std::int64_t>(is_inside ? scaled + rounding - rounding : 0.0);
    const double back = static_cast<double>(integer) / power;
    if (bits_of(back) == bits_of(value)) [[likely]] {
      last = integer;
    } else {
      space.exceptions.push_back({.index = static_cast<std::uint32_t>(i), .value = value});
    }
    space.integers[i] = last;
  }
  // Leading exceptions have no neighbour before them.
  std::size_t first = 0;
  while (first < space.exceptions.size() && space.exceptions[first].index == first) ++first;
  if (first > 0 && first < values.size()) {
    std::fill_n(space.integers.begin(), first, space.integers[first]);
  }
}

/// Leaves scratch as `convert` does, with the exponent that it settled on; nothing if the values
/// are no decimals.
std::optional<unsigned> convert_to_decimal(std::span<const double> values, Scratch& space) {
  auto exponent = guess_exponent(values);
  if (!exponent) return std::nullopt;
  for (int attempt = 0; attempt < kExponentAttempts; ++attempt) {
    convert(values, *exponent, space);
    if (space.exceptions.size() * 32 <= values.size()) return exponent;
    std::optional<unsigned> larger;
    for (const Exception& exception : space.exceptions) {
      larger = find_exponent(exception.value, *exponent + 1);
      if (larger) break;
    }
    if (!larger) break;
    exponent = larger;
  }
  if (space.exceptions.size() * 4 > values.size()) return std::nullopt;
  return exponent;
}

void append_tag(std::vector<std::byte>& out, Scheme scheme, unsigned exponent = 0) {
  out.push_back(static_cast<std::byte>(static_cast<unsigned>(scheme) | exponent << kExponentShift));
}

void append_decimal(unsigned exponent, const Scratch& space, std::vector<std::byte>& out) {
  append_tag(out, Scheme::Decimal, exponent);
  storage::encode_integers(space.integers, out);
  storage::ByteWriter(out).varint(space.exceptions.size());
  std::uint32_t next = 0;
  for (const Exception& exception : space.exceptions) {
    storage::ByteWriter(out).varint(exception.index - next);
    storage::ByteWriter(out).bytes(std::as_bytes(std::span(&exception.value, 1)));
    next = exception.index + 1;
  }
}

void append_bits(std::span<const double> values, Scratch& space, std::vector<std::byte>& out) {
  space.integers.resize(values.size());
  std::memcpy(space.integers.data(), values.data(), values.size_bytes());
  append_tag(out, Scheme::Bits);
  storage::encode_integers(space.integers, out);
}

void append_raw(std::span<const double> values, std::vector<std::byte>& out) {
  append_tag(out, Scheme::Raw);
  storage::ByteWriter(out).bytes(std::as_bytes(values));
}

std::size_t count_runs(std::span<const double> values) {
  std::size_t count = 1;
  for (std::size_t i = 1; i < values.size(); ++i) {
    count += static_cast<std::size_t>(bits_of(values[i]) != bits_of(values[i - 1]));
  }
  return count;
}

/// By trial among decimal, bits and raw.
void append_plain(std::span<const double> values, std::vector<std::byte>& out) {
  Scratch& space = scratch();
  const std::size_t start = out.size();
  const auto exponent = convert_to_decimal(values, space);
  if (exponent) {
    append_decimal(*exponent, space, out);
    if (space.exceptions.size() * 32 <= values.size()) return;
  } else {
    append_raw(values, out);
  }
  space.trial.clear();
  append_bits(values, space, space.trial);
  if (space.trial.size() >= out.size() - start) return;
  out.resize(start);
  storage::ByteWriter(out).bytes(space.trial);
}

void append_runs(std::span<const double> values, std::vector<std::byte>& out) {
  Scratch& space = scratch();
  space.run_values.clear();
  space.run_lengths.clear();
  for (std::size_t i = 0; i < values.size();) {
    std::size_t end = i + 1;
    while (end < values.size() && bits_of(values[end]) == bits_of(values[i])) ++end;
    space.run_values.push_back(values[i]);
    space.run_lengths.push_back(static_cast<std::int64_t>(end - i));
    i = end;
  }
  append_tag(out, Scheme::Runs);
  storage::ByteWriter(out).varint(space.run_values.size());
  append_plain(space.run_values, out);
  storage::encode_integers(space.run_lengths, out);
}

// Decoding.

void decode_decimal(storage::ByteReader& reader, unsigned exponent, std::span<double> values) {
  if (exponent > kExponentMax) return reader.fail();
  thread_local std::vector<std::int64_t> integers;
  integers.resize(values.size());
  storage::decode_integers_from(reader, integers);
  const std::uint64_t count = reader.varint();
  if (reader.failed() || count > values.size()) return reader.fail();
  if (exponent == 0) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(integers[i]);
  } else {
    const double power = kPowersOfTen[exponent];
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<double>(integers[i]) / power;
    }
  }
  std::uint64_t next = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t gap = reader.varint();
    const auto value = reader.f64();
    if (reader.failed() || next >= values.size() || gap >= values.size() - next) {
      return reader.fail();
    }
    values[next + gap] = value;
    next += gap + 1;
  }
}

void decode_bits(storage::ByteReader& reader, std::span<double> values) {
  thread_local std::vector<std::int64_t> integers;
  integers.resize(values.size());
  storage::decode_integers_from(reader, integers);
  if (!reader.failed()) std::memcpy(values.data(), integers.data(), values.size_bytes());
}

enum class Allow : std::uint8_t { Everything, NoRuns };

void decode(storage::ByteReader& reader, Allow allow, std::span<double> values);

void decode_runs(storage::ByteReader& reader, std::span<double> values) {
  const std::uint64_t count = reader.varint();
  if (reader.failed() || count == 0 || count > values.size()) return reader.fail();
  thread_local std::vector<double> run_values;
  thread_local std::vector<std::int64_t> run_lengths;
  run_values.resize(count);
  run_lengths.resize(count);
  decode(reader, Allow::NoRuns, run_values);
  storage::decode_integers_from(reader, run_lengths);
  if (reader.failed()) return;
  std::size_t at = 0;
  for (std::size_t run = 0; run < count; ++run) {
    const auto length = static_cast<std::uint64_t>(run_lengths[run]);
    if (length > values.size() - at) return reader.fail();
    std::fill_n(values.data() + at, length, run_values[run]);
    at += length;
  }
  if (at != values.size()) reader.fail();
}

void decode(storage::ByteReader& reader, Allow allow, std::span<double> values) {
  const std::uint8_t tag = reader.u8();
  const unsigned exponent = tag >> kExponentShift;
  const auto scheme = static_cast<Scheme>(tag & kSchemeMask);
  if (reader.failed() || (exponent != 0 && scheme != Scheme::Decimal)) return reader.fail();
  switch (scheme) {
    case Scheme::Constant:
      std::ranges::fill(values, reader.f64());
      return;
    case Scheme::Decimal:
      return decode_decimal(reader, exponent, values);
    case Scheme::Bits:
      return decode_bits(reader, values);
    case Scheme::Runs:
      if (allow == Allow::NoRuns) return reader.fail();
      return decode_runs(reader, values);
    case Scheme::Raw: {
      const auto bytes = reader.bytes(values.size_bytes());
      if (!reader.failed()) std::memcpy(values.data(), bytes.data(), bytes.size());
      return;
    }
  }
  reader.fail();
}

}  // namespace

void encode_values(std::span<const double> values, std::vector<std::byte>& out) {
  GANTRY_ASSERT(values.size() <= storage::kBlockValuesMax, "callers cut their blocks");
  if (values.empty()) return;
  const std::size_t runs = count_runs(values);
  if (runs == 1 && !to_integer(values[0], 0)) {
    append_tag(out, Scheme::Constant);
    storage::ByteWriter(out).bytes(std::as_bytes(values.first(1)));
    return;
  }
  // Integer blocks have runs of their own; these here are for values that are no decimals.
  if (runs == 1 || runs * kRunLengthMin > values.size() || guess_exponent(values)) {
    return append_plain(values, out);
  }
  append_runs(values, out);
}

void decode_values_from(storage::ByteReader& reader, std::span<double> values) {
  if (!values.empty()) decode(reader, Allow::Everything, values);
}

Result<void> decode_values(std::span<const std::byte> bytes, std::span<double> values) {
  storage::ByteReader reader(bytes);
  decode_values_from(reader, values);
  if (!reader.at_end()) return fail(Code::DataLoss, "value block is damaged");
  return {};
}

}  // namespace gantry::metrics
