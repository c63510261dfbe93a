#include "storage/encoding/integer_block.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "storage/encoding/bit_pack.h"

namespace gantry::storage {
namespace {

// First byte of a block: the scheme in the low three bits, then two flags.
enum class Scheme : std::uint8_t {
  Constant = 0,  ///< zigzag value
  Plain = 1,     ///< zigzag base, width, packed value - base
  Delta = 2,     ///< zigzag first, then as Plain for the n - 1 differences
  Delta2 = 3,    ///< zigzag first, zigzag first difference, then for n - 2 differences of these
  Runs = 4,      ///< varint run count, block of the runs' values, block of their lengths
};
constexpr std::uint8_t kSchemeMask = 0x07;
constexpr std::uint8_t kPatchedFlag = 0x08;  ///< After the packed numbers: exceptions.
constexpr std::uint8_t kScaledFlag = 0x10;   ///< Before the scheme's fields: offset and factor.
constexpr std::uint8_t kKnownBits = kSchemeMask | kPatchedFlag | kScaledFlag;

constexpr std::size_t kSampleCount = 32;
/// Average run length from which runs are tried.
constexpr std::size_t kRunLengthMin = 4;
/// Bits that patching must promise to save per value before it is looked at in full.
constexpr unsigned kPatchGainMin = 2;
/// Tag, base, width, patch count and one patch take at least this.
constexpr std::size_t kPatchCostMin = 7;
constexpr std::size_t kHugeCost = std::numeric_limits<std::size_t>::max();

using Unsigned = std::uint64_t;

/// Small magnitudes become small numbers: 0, -1, 1, -2, … are 0, 1, 2, 3, …
constexpr Unsigned zigzag(std::int64_t value) {
  return (static_cast<Unsigned>(value) << 1) ^ static_cast<Unsigned>(value >> 63);
}

constexpr std::size_t varint_bytes(Unsigned value) {
  return (bits_needed(value | 1) + 6) / 7;
}

// All arithmetic is modulo 2^64, so that every sequence has differences and comes back from them.
constexpr std::int64_t subtract(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<Unsigned>(a) - static_cast<Unsigned>(b));
}

constexpr std::int64_t add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
}

struct Range {
  std::int64_t min = std::numeric_limits<std::int64_t>::max();
  std::int64_t max = std::numeric_limits<std::int64_t>::min();

  void include(std::int64_t value) {
    min = value < min ? value : min;
    max = value > max ? value : max;
  }

  [[nodiscard]] unsigned width() const {
    return min > max ? 0 : bits_needed(static_cast<Unsigned>(subtract(max, min)));
  }
};

/// The values, their differences, or the differences of these.
struct Stream {
  Scheme scheme = Scheme::Plain;
  std::size_t skip = 0;  ///< Values that are stored in the header instead.
  Range range;
};

/// How a stream is to be packed: numbers inside `kept` relative to its minimum, others as patches.
struct Plan {
  const Stream* stream = nullptr;
  Range kept;
  bool is_patched = false;
  std::size_t cost_bytes = kHugeCost;
};

/// Scratch of one thread, grown once.
struct Scratch {
  std::vector<std::int64_t> numbers;
  std::vector<Unsigned> packed;
  std::vector<std::int64_t> scaled;
  std::vector<std::int64_t> run_values;
  std::vector<std::int64_t> run_lengths;
};

Scratch& scratch() {
  thread_local Scratch instance;
  return instance;
}

std::int64_t number_at(std::span<const std::int64_t> values, Scheme scheme, std::size_t i) {
  if (scheme == Scheme::Plain) return values[i];
  const std::int64_t delta = subtract(values[i], values[i - 1]);
  if (scheme == Scheme::Delta) return delta;
  return subtract(delta, subtract(values[i - 1], values[i - 2]));
}

struct Survey {
  std::array<Stream, 3> streams = {Stream{.scheme = Scheme::Plain, .skip = 0},
                                   Stream{.scheme = Scheme::Delta, .skip = 1},
                                   Stream{.scheme = Scheme::Delta2, .skip = 2}};
  std::size_t run_count = 1;
};

/// Hot: per sample.
Survey survey(std::span<const std::int64_t> values) {
  Range plain;
  Range delta;
  Range delta2;
  std::size_t changes = 0;
  plain.include(values[0]);
  std::int64_t last_delta = 0;
  if (values.size() > 1) {
    plain.include(values[1]);
    last_delta = subtract(values[1], values[0]);
    delta.include(last_delta);
    changes += static_cast<std::size_t>(last_delta != 0);
  }
  for (std::size_t i = 2; i < values.size(); ++i) {
    const std::int64_t difference = subtract(values[i], values[i - 1]);
    plain.include(values[i]);
    delta.include(difference);
    delta2.include(subtract(difference, last_delta));
    changes += static_cast<std::size_t>(difference != 0);
    last_delta = difference;
  }
  Survey result;
  result.streams[0].range = plain;
  result.streams[1].range = delta;
  result.streams[2].range = delta2;
  result.run_count = changes + 1;
  return result;
}

std::size_t header_cost(const Stream& stream, std::span<const std::int64_t> values,
                        std::int64_t base) {
  std::size_t cost = 2 + varint_bytes(zigzag(base));
  if (stream.skip > 0) cost += varint_bytes(zigzag(values[0]));
  if (stream.skip > 1) cost += varint_bytes(zigzag(subtract(values[1], values[0])));
  return cost;
}

Plan plan_whole(const Stream& stream, std::span<const std::int64_t> values) {
  if (values.size() <= stream.skip) return {};
  const Range kept = stream.range;
  return {.stream = &stream,
          .kept = kept,
          .cost_bytes = header_cost(stream, values, kept.min) +
                        packed_bytes(values.size() - stream.skip, kept.width())};
}

/// Numbers sorted by their distance from a typical one: for each power of two, how many are that
/// far away and what they span.
struct DistanceTable {
  std::array<std::uint32_t, 65> counts{};
  std::array<Range, 65> ranges;
};

/// Of all but the least and the two greatest.
unsigned width_without_extremes(std::span<const std::int64_t> sample) {
  std::int64_t least = sample[0];
  std::int64_t second_least = std::numeric_limits<std::int64_t>::max();
  std::array<std::int64_t, 3> greatest;
  greatest.fill(std::numeric_limits<std::int64_t>::min());
  greatest[0] = sample[0];
  for (const std::int64_t number : sample.subspan(1)) {
    second_least = std::min(second_least, std::max(least, number));
    least = std::min(least, number);
    greatest[2] = std::max(greatest[2], std::min(greatest[1], number));
    greatest[1] = std::max(greatest[1], std::min(greatest[0], number));
    greatest[0] = std::max(greatest[0], number);
  }
  return Range{.min = second_least, .max = greatest[2]}.width();
}

/// The cheapest way to keep the numbers near the typical one and patch the others, if it beats
/// `best`. A counter reset or a missed scrape is such a patch.
Plan plan_patched(const Stream& stream, std::span<const std::int64_t> values, const Plan& best) {
  const std::size_t count = values.size() - stream.skip;
  if (count < kSampleCount) return {};
  std::array<std::int64_t, kSampleCount> sample{};
  for (std::size_t i = 0; i < kSampleCount; ++i) {
    sample[i] = number_at(values, stream.scheme, stream.skip + i * count / kSampleCount);
  }
  // What patching can reach; most data has nothing to gain.
  const unsigned reachable = width_without_extremes(sample);
  if (reachable + kPatchGainMin > stream.range.width()) return {};
  if (packed_bytes(count, reachable) + kPatchCostMin >= best.cost_bytes) return {};

  const auto middle = sample.begin() + kSampleCount / 2;
  std::ranges::nth_element(sample, middle);
  const std::int64_t typical = *middle;
  DistanceTable table;
  for (std::size_t i = stream.skip; i < values.size(); ++i) {
    const std::int64_t number = number_at(values, stream.scheme, i);
    const unsigned distance = bits_needed(zigzag(subtract(number, typical)));
    ++table.counts[distance];
    table.ranges[distance].include(number);
  }
  Plan found;
  Range kept{.min = typical, .max = typical};
  std::size_t patched = count;
  for (std::size_t distance = 0; distance < table.counts.size(); ++distance) {
    if (table.counts[distance] == 0) continue;
    kept.include(table.ranges[distance].min);
    kept.include(table.ranges[distance].max);
    patched -= table.counts[distance];
    // A patch is a gap of one or two bytes and the number.
    const std::size_t patch_bytes = 2 + (stream.range.width() + 1) / 7 + 1;
    const std::size_t cost = header_cost(stream, values, kept.min) + 2 +
                             packed_bytes(count, kept.width()) + patched * patch_bytes;
    if (cost >= found.cost_bytes) continue;
    found = {.stream = &stream, .kept = kept, .is_patched = patched > 0, .cost_bytes = cost};
  }
  return found;
}

Plan choose_plan(const Survey& surveyed, std::span<const std::int64_t> values) {
  Plan best;
  for (const Stream& stream : surveyed.streams) {
    const Plan plan = plan_whole(stream, values);
    if (plan.cost_bytes < best.cost_bytes) best = plan;
  }
  for (const Stream& stream : surveyed.streams) {
    if (values.size() <= stream.skip + kSampleCount) continue;
    const Plan plan = plan_patched(stream, values, best);
    if (plan.cost_bytes < best.cost_bytes) best = plan;
  }
  GANTRY_ASSERT(best.stream != nullptr, "the values themselves are a stream that skips none");
  return best;
}

void append_patches(std::span<const std::int64_t> numbers, const Range& kept,
                    std::vector<std::byte>& out) {
  const auto is_patch = [&](std::int64_t number) { return number < kept.min || number > kept.max; };
  ByteWriter(out).varint(static_cast<Unsigned>(std::ranges::count_if(numbers, is_patch)));
  std::size_t next = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!is_patch(numbers[i])) continue;
    ByteWriter(out).varint(i - next);
    ByteWriter(out).svarint(subtract(numbers[i], kept.min));
    next = i + 1;
  }
}

void emit(const Plan& plan, std::span<const std::int64_t> values, std::uint8_t flags,
          std::vector<std::byte>& out) {
  const Stream& stream = *plan.stream;
  Scratch& space = scratch();
  const std::size_t count = values.size() - stream.skip;
  space.numbers.resize(count);
  space.packed.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    space.numbers[i] = number_at(values, stream.scheme, i + stream.skip);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t number = space.numbers[i];
    const bool is_kept = number >= plan.kept.min && number <= plan.kept.max;
    space.packed[i] = is_kept ? static_cast<Unsigned>(subtract(number, plan.kept.min)) : 0;
  }
  if (stream.skip > 0) ByteWriter(out).svarint(values[0]);
  if (stream.skip > 1) ByteWriter(out).svarint(subtract(values[1], values[0]));
  ByteWriter(out).svarint(plan.kept.min);
  const unsigned width = plan.kept.width();
  out.push_back(static_cast<std::byte>(width));
  pack_bits(space.packed, width, out);
  if ((flags & kPatchedFlag) != 0) append_patches(space.numbers, plan.kept, out);
}

void append_tag(std::vector<std::byte>& out, Scheme scheme, std::uint8_t flags) {
  out.push_back(static_cast<std::byte>(static_cast<std::uint8_t>(scheme) | flags));
}

enum class Allow : std::uint8_t { Everything, NoRuns };

/// The greatest number that divides the distance of every value from the first; 1 if there is none
/// or it would not pay.
std::int64_t find_factor(std::span<const std::int64_t> values, const Range& range,
                         const Plan& plan) {
  const unsigned width = plan.kept.width();
  if (width == 0 || values.size() < 8) return 1;
  // Distances must be true integers to be divided.
  if (static_cast<Unsigned>(subtract(range.max, range.min)) >> 63 != 0) return 1;
  std::int64_t factor = 0;  // of no distances yet: gcd(0, x) is x
  const std::size_t step = std::max<std::size_t>(values.size() / kSampleCount, 1);
  for (std::size_t i = 0; i < values.size(); i += step) {
    factor = std::gcd(factor, values[i] - values[0]);
    if (factor == 1) return 1;
  }
  for (const std::int64_t value : values) {
    if (factor != 0 && (value - values[0]) % factor == 0) continue;
    factor = std::gcd(factor, value - values[0]);
    if (factor == 1) return 1;
  }
  if (factor == 0) return 1;
  const unsigned saved_bits = bits_needed(static_cast<Unsigned>(factor)) - 1;
  const std::size_t header = varint_bytes(zigzag(values[0])) + varint_bytes(Unsigned(factor));
  return packed_bytes(values.size(), std::min(saved_bits, width)) > header + 2 ? factor : 1;
}

void encode(std::span<const std::int64_t> values, Allow allow, std::vector<std::byte>& out);

/// Appends the runs if they take less than `cost_bytes`.
bool try_runs(std::span<const std::int64_t> values, std::size_t run_count, std::size_t cost_bytes,
              std::vector<std::byte>& out) {
  if (run_count * kRunLengthMin > values.size()) return false;
  // Runs do not nest, so that the scratch of this level is not overwritten.
  Scratch& space = scratch();
  space.run_values.clear();
  space.run_lengths.clear();
  for (std::size_t i = 0; i < values.size();) {
    std::size_t end = i + 1;
    while (end < values.size() && values[end] == values[i]) ++end;
    space.run_values.push_back(values[i]);
    space.run_lengths.push_back(static_cast<std::int64_t>(end - i));
    i = end;
  }
  const std::size_t start = out.size();
  append_tag(out, Scheme::Runs, 0);
  ByteWriter(out).varint(space.run_values.size());
  encode(space.run_values, Allow::NoRuns, out);
  encode(space.run_lengths, Allow::NoRuns, out);
  if (out.size() - start < cost_bytes) return true;
  out.resize(start);
  return false;
}

void encode(std::span<const std::int64_t> values, Allow allow, std::vector<std::byte>& out) {
  const Survey surveyed = survey(values);
  if (surveyed.run_count == 1) {
    append_tag(out, Scheme::Constant, 0);
    ByteWriter(out).svarint(values[0]);
    return;
  }
  const Plan plan = choose_plan(surveyed, values);
  if (allow == Allow::Everything && try_runs(values, surveyed.run_count, plan.cost_bytes, out)) {
    return;
  }
  const std::int64_t factor = find_factor(values, surveyed.streams[0].range, plan);
  if (factor == 1) {
    const std::uint8_t flags = plan.is_patched ? kPatchedFlag : 0;
    append_tag(out, plan.stream->scheme, flags);
    emit(plan, values, flags, out);
    return;
  }
  Scratch& space = scratch();
  space.scaled.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    space.scaled[i] = (values[i] - values[0]) / factor;
  }
  const Survey scaled_survey = survey(space.scaled);
  const Plan scaled_plan = choose_plan(scaled_survey, space.scaled);
  const std::uint8_t flags =
      kScaledFlag | (scaled_plan.is_patched ? kPatchedFlag : std::uint8_t{0});
  append_tag(out, scaled_plan.stream->scheme, flags);
  ByteWriter(out).svarint(values[0]);
  ByteWriter(out).varint(static_cast<Unsigned>(factor));
  emit(scaled_plan, space.scaled, flags, out);
}

// Decoding. Output arrays of int64 and uint64 may alias: signed and unsigned of one type.

std::span<Unsigned> as_unsigned(std::span<std::int64_t> values) {
  return {reinterpret_cast<Unsigned*>(values.data()), values.size()};
}

/// Fills `numbers` with base plus the packed offsets, patches applied. Hot: per sample.
void decode_numbers(ByteReader& reader, bool is_patched, std::span<std::int64_t> numbers) {
  const std::int64_t base = reader.svarint();
  const unsigned width = reader.u8();
  if (width > 64) return reader.fail();
  const auto packed = reader.bytes(packed_bytes(numbers.size(), width));
  if (reader.failed()) return;
  if (width == 0) {
    std::ranges::fill(numbers, base);
  } else {
    unpack_bits(packed, width, as_unsigned(numbers));
    for (std::int64_t& number : numbers) number = add(number, base);
  }
  if (!is_patched) return;
  const Unsigned count = reader.varint();
  if (count > numbers.size()) return reader.fail();
  Unsigned next = 0;
  for (Unsigned i = 0; i < count; ++i) {
    const Unsigned gap = reader.varint();
    const std::int64_t offset = reader.svarint();
    if (reader.failed() || gap >= numbers.size() - next) return reader.fail();
    numbers[next + gap] = add(base, offset);
    next += gap + 1;
  }
}

void decode_delta(ByteReader& reader, bool is_patched, std::span<std::int64_t> values) {
  if (values.empty()) return reader.fail();
  std::int64_t sum = reader.svarint();
  values[0] = sum;
  decode_numbers(reader, is_patched, values.subspan(1));
  if (reader.failed()) return;
  for (std::size_t i = 1; i < values.size(); ++i) {
    sum = add(sum, values[i]);
    values[i] = sum;
  }
}

void decode_delta2(ByteReader& reader, bool is_patched, std::span<std::int64_t> values) {
  if (values.size() < 2) return reader.fail();
  std::int64_t sum = reader.svarint();
  std::int64_t delta = reader.svarint();
  values[0] = sum;
  values[1] = sum = add(sum, delta);
  decode_numbers(reader, is_patched, values.subspan(2));
  if (reader.failed()) return;
  for (std::size_t i = 2; i < values.size(); ++i) {
    delta = add(delta, values[i]);
    sum = add(sum, delta);
    values[i] = sum;
  }
}

void decode(ByteReader& reader, Allow allow, std::span<std::int64_t> values);

void decode_runs(ByteReader& reader, std::span<std::int64_t> values) {
  const Unsigned count = reader.varint();
  if (reader.failed() || count == 0 || count > values.size()) return reader.fail();
  thread_local std::vector<std::int64_t> run_values;
  thread_local std::vector<std::int64_t> run_lengths;
  run_values.resize(count);
  run_lengths.resize(count);
  decode(reader, Allow::NoRuns, run_values);
  decode(reader, Allow::NoRuns, run_lengths);
  if (reader.failed()) return;
  std::size_t at = 0;
  for (std::size_t run = 0; run < count; ++run) {
    const auto length = static_cast<Unsigned>(run_lengths[run]);
    if (length > values.size() - at) return reader.fail();
    std::fill_n(values.data() + at, length, run_values[run]);
    at += length;
  }
  if (at != values.size()) reader.fail();
}

void decode(ByteReader& reader, Allow allow, std::span<std::int64_t> values) {
  const std::uint8_t tag = reader.u8();
  const bool is_patched = (tag & kPatchedFlag) != 0;
  const bool is_scaled = (tag & kScaledFlag) != 0;
  if (reader.failed() || (tag & ~kKnownBits) != 0) return reader.fail();
  std::int64_t offset = 0;
  std::int64_t factor = 1;
  if (is_scaled) {
    offset = reader.svarint();
    factor = static_cast<std::int64_t>(reader.varint());
  }
  switch (static_cast<Scheme>(tag & kSchemeMask)) {
    case Scheme::Constant:
      if (is_patched || is_scaled) return reader.fail();
      std::ranges::fill(values, reader.svarint());
      break;
    case Scheme::Plain:
      decode_numbers(reader, is_patched, values);
      break;
    case Scheme::Delta:
      decode_delta(reader, is_patched, values);
      break;
    case Scheme::Delta2:
      decode_delta2(reader, is_patched, values);
      break;
    case Scheme::Runs:
      if (is_patched || is_scaled || allow == Allow::NoRuns) return reader.fail();
      decode_runs(reader, values);
      break;
    default:
      return reader.fail();
  }
  if (reader.failed() || !is_scaled) return;
  for (std::int64_t& value : values) {
    value = static_cast<std::int64_t>(static_cast<Unsigned>(value) * static_cast<Unsigned>(factor) +
                                      static_cast<Unsigned>(offset));
  }
}

Result<void> decode_whole(std::span<const std::byte> bytes, std::span<std::int64_t> values) {
  ByteReader reader(bytes);
  if (!values.empty()) decode(reader, Allow::Everything, values);
  if (!reader.at_end()) return fail(Code::DataLoss, "integer block is damaged");
  return {};
}

}  // namespace

void encode_integers(std::span<const std::int64_t> values, std::vector<std::byte>& out) {
  GANTRY_ASSERT(values.size() <= kBlockValuesMax, "callers cut their blocks");
  if (!values.empty()) encode(values, Allow::Everything, out);
}

Result<void> decode_integers(std::span<const std::byte> bytes, std::span<std::int64_t> values) {
  return decode_whole(bytes, values);
}

void decode_integers_from(ByteReader& reader, std::span<std::int64_t> values) {
  if (!values.empty()) decode(reader, Allow::Everything, values);
}

void encode_timestamps(std::span<const std::int64_t> timestamps_ms, std::vector<std::byte>& out) {
  encode_integers(timestamps_ms, out);
}

Result<void> decode_timestamps(std::span<const std::byte> bytes,
                               std::span<std::int64_t> timestamps_ms) {
  GANTRY_CHECK(decode_whole(bytes, timestamps_ms));
  bool is_ascending = true;
  for (std::size_t i = 1; i < timestamps_ms.size(); ++i) {
    is_ascending &= timestamps_ms[i - 1] < timestamps_ms[i];
  }
  if (!is_ascending) return fail(Code::DataLoss, "timestamps of a block do not ascend");
  return {};
}

}  // namespace gantry::storage
