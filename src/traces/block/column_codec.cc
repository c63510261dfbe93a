#include "traces/block/column_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>

#include <zstd.h>

#include "core/error.h"
#include "storage/encoding/integer_block.h"

namespace gantry::traces {
namespace {

using storage::ByteReader;
using storage::ByteWriter;

// First byte of a column of numbers. No values have no bytes.
enum class Numbers : std::uint8_t {
  Constant = 0,  ///< zigzag value
  Planes = 1,    ///< zigzag base, varint factor, width in bytes, a section per byte of the numbers
  Packed = 2,    ///< integer blocks of at most kBlockValuesMax values
};

// First byte of a column of rows, after their number.
enum class Rows : std::uint8_t {
  Gaps = 0,    ///< numbers: each row less the one before, less one
  Bitmap = 1,  ///< a section with a bit per row, the lowest first
};

/// A section must shrink by a tenth to be worth decompressing.
constexpr std::size_t kWorthwhilePercent = 90;
/// What zstd needs for itself makes less than this not worth a try.
constexpr std::size_t kSectionBytesToCompress = 64;
/// From one row in so many there is a bitmap: less than its gaps take, and faster.
constexpr std::size_t kBitmapDensity = 8;
/// Packed numbers that take less than a bit each are good enough.
constexpr std::size_t kGoodPacking = 8;

using Unsigned = std::uint64_t;

struct DecompressionContext {
  ZSTD_DCtx* context = ZSTD_createDCtx();

  DecompressionContext() = default;
  DecompressionContext(const DecompressionContext&) = delete;
  DecompressionContext& operator=(const DecompressionContext&) = delete;

  ~DecompressionContext() { ZSTD_freeDCtx(context); }
};

/// Fills `into` from a section that must have exactly so many bytes.
void decode_section(ByteReader& reader, std::span<std::byte> into) {
  const std::uint8_t is_compressed = reader.u8();
  if (is_compressed > 1) return reader.fail();
  if (is_compressed == 0) {
    const auto bytes = reader.bytes(into.size());
    if (!reader.failed() && !bytes.empty()) std::memcpy(into.data(), bytes.data(), bytes.size());
    return;
  }
  const auto bytes = reader.bytes(reader.count(1));
  if (reader.failed()) return;
  thread_local const DecompressionContext zstd;
  const std::size_t size =
      ZSTD_decompressDCtx(zstd.context, into.data(), into.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0U || size != into.size()) reader.fail();
}

/// What all values have in common beyond the least: their distances' greatest common divisor.
Unsigned find_factor(std::span<const std::int64_t> values, std::int64_t least) {
  Unsigned factor = 0;
  for (const std::int64_t value : values) {
    factor = std::gcd(factor, static_cast<Unsigned>(value) - static_cast<Unsigned>(least));
    if (factor == 1) return 1;
  }
  return factor;
}

void decode_planes(ByteReader& reader, std::span<std::int64_t> values) {
  const auto base = static_cast<Unsigned>(reader.svarint());
  const Unsigned factor = reader.varint();
  const unsigned width = reader.u8();
  if (reader.failed() || width == 0 || width > sizeof(Unsigned)) return reader.fail();
  std::vector<std::byte> plane(values.size());
  std::ranges::fill(values, 0);
  for (unsigned i = 0; i < width; ++i) {
    decode_section(reader, plane);
    if (reader.failed()) return;
    for (std::size_t at = 0; at < values.size(); ++at) {
      values[at] |= static_cast<std::int64_t>(static_cast<Unsigned>(plane[at]) << (8 * i));
    }
  }
  for (std::int64_t& value : values) {
    value = static_cast<std::int64_t>(static_cast<Unsigned>(value) * factor + base);
  }
}

std::size_t shared_prefix(std::string_view a, std::string_view b) {
  const std::size_t limit = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(limit), b.begin()).first -
      a.begin());
}

}  // namespace

struct ColumnEncoder::Impl {
  int level = 0;
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::vector<std::byte> compressed;
  std::vector<std::byte> packed;
  std::vector<std::byte> planes;
  std::vector<std::byte> plane;
  std::vector<Unsigned> distances;
  std::vector<std::int64_t> first;
  std::vector<std::int64_t> second;
  std::vector<std::byte> pieces;

  explicit Impl(int compression_level) : level(compression_level) {}

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() { ZSTD_freeCCtx(context); }

  void section(std::span<const std::byte> bytes, std::vector<std::byte>& out) {
    ByteWriter writer(out);
    if (level != 0 && bytes.size() >= kSectionBytesToCompress) {
      compressed.resize(ZSTD_compressBound(bytes.size()));
      const std::size_t size = ZSTD_compressCCtx(context, compressed.data(), compressed.size(),
                                                 bytes.data(), bytes.size(), level);
      if (ZSTD_isError(size) == 0U && size * 100 <= bytes.size() * kWorthwhilePercent) {
        writer.u8(1);
        writer.varint(size);
        writer.bytes(std::span(compressed).first(size));
        return;
      }
    }
    writer.u8(0);
    writer.bytes(bytes);
  }

  void pack(std::span<const std::int64_t> values) {
    packed.clear();
    while (!values.empty()) {
      const std::size_t count = std::min(values.size(), storage::kBlockValuesMax);
      storage::encode_integers(values.first(count), packed);
      values = values.subspan(count);
    }
  }

  void split(std::span<const std::int64_t> values, std::int64_t least, std::int64_t greatest) {
    planes.clear();
    const Unsigned factor = find_factor(values, least);
    distances.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      distances[i] = (static_cast<Unsigned>(values[i]) - static_cast<Unsigned>(least)) / factor;
    }
    const Unsigned range =
        (static_cast<Unsigned>(greatest) - static_cast<Unsigned>(least)) / factor;
    const unsigned width = (static_cast<unsigned>(std::bit_width(range)) + 7) / 8;
    ByteWriter writer(planes);
    writer.svarint(least);
    writer.varint(factor);
    writer.u8(static_cast<std::uint8_t>(width));
    plane.resize(values.size());
    for (unsigned i = 0; i < width; ++i) {
      for (std::size_t at = 0; at < values.size(); ++at) {
        plane[at] = static_cast<std::byte>(distances[at] >> (8 * i));
      }
      section(plane, planes);
    }
  }
};

ColumnEncoder::ColumnEncoder(int compression_level)
    : impl_(std::make_unique<Impl>(compression_level)) {}

ColumnEncoder::~ColumnEncoder() = default;

void ColumnEncoder::numbers(std::span<const std::int64_t> values, std::vector<std::byte>& out) {
  if (values.empty()) return;
  ByteWriter writer(out);
  const auto [least, greatest] = std::ranges::minmax(values);
  if (least == greatest) {
    writer.u8(static_cast<std::uint8_t>(Numbers::Constant));
    writer.svarint(least);
    return;
  }
  impl_->pack(values);
  const bool is_good = impl_->packed.size() <= values.size() / kGoodPacking;
  if (!is_good) impl_->split(values, least, greatest);
  if (is_good || impl_->packed.size() <= impl_->planes.size()) {
    writer.u8(static_cast<std::uint8_t>(Numbers::Packed));
    writer.bytes(impl_->packed);
    return;
  }
  writer.u8(static_cast<std::uint8_t>(Numbers::Planes));
  writer.bytes(impl_->planes);
}

void ColumnEncoder::rows(std::span<const std::uint32_t> rows, std::uint32_t row_count,
                         std::vector<std::byte>& out) {
  ByteWriter writer(out);
  writer.varint(rows.size());
  if (rows.empty() || rows.size() == row_count) return;
  if (rows.size() >= row_count / kBitmapDensity) {
    writer.u8(static_cast<std::uint8_t>(Rows::Bitmap));
    impl_->pieces.assign((row_count + 7) / 8, std::byte{0});
    for (const std::uint32_t row : rows) {
      impl_->pieces[row / 8] |= static_cast<std::byte>(1U << (row % 8));
    }
    impl_->section(impl_->pieces, out);
    return;
  }
  writer.u8(static_cast<std::uint8_t>(Rows::Gaps));
  impl_->first.clear();
  std::int64_t next = 0;
  for (const std::uint32_t row : rows) {
    impl_->first.push_back(row - next);
    next = static_cast<std::int64_t>(row) + 1;
  }
  numbers(impl_->first, out);
}

void ColumnEncoder::texts(std::span<const std::string_view> sorted, std::vector<std::byte>& out) {
  impl_->first.clear();
  impl_->second.clear();
  impl_->pieces.clear();
  std::string_view last;
  for (const std::string_view text : sorted) {
    GANTRY_DEBUG_ASSERT(text.size() <= kShortTextBytesMax, "long texts are stored elsewhere");
    const std::size_t shared = shared_prefix(last, text);
    impl_->first.push_back(static_cast<std::int64_t>(shared));
    impl_->second.push_back(static_cast<std::int64_t>(text.size() - shared));
    ByteWriter(impl_->pieces).raw(text.data() + shared, text.size() - shared);
    last = text;
  }
  numbers(impl_->first, out);
  numbers(impl_->second, out);
  impl_->section(impl_->pieces, out);
}

void decode_numbers(ByteReader& reader, std::span<std::int64_t> values) {
  if (values.empty()) return;
  switch (static_cast<Numbers>(reader.u8())) {
    case Numbers::Constant:
      std::ranges::fill(values, reader.svarint());
      return;
    case Numbers::Planes:
      return decode_planes(reader, values);
    case Numbers::Packed:
      while (!values.empty() && !reader.failed()) {
        const std::size_t count = std::min(values.size(), storage::kBlockValuesMax);
        storage::decode_integers_from(reader, values.first(count));
        values = values.subspan(count);
      }
      return;
  }
  reader.fail();
}

std::size_t decode_rows(ByteReader& reader, std::uint32_t row_count,
                        std::vector<std::uint32_t>& rows) {
  rows.clear();
  const std::uint64_t count = reader.varint();
  if (reader.failed() || count > row_count) {
    reader.fail();
    return 0;
  }
  if (count == 0 || count == row_count) return static_cast<std::size_t>(count);
  switch (static_cast<Rows>(reader.u8())) {
    case Rows::Gaps: {
      decode_numbers_within(reader, count, 0, row_count, rows);
      if (reader.failed()) break;
      std::uint64_t next = 0;
      for (std::uint32_t& row : rows) {
        next += row;
        if (next >= row_count) {
          reader.fail();
          break;
        }
        row = static_cast<std::uint32_t>(next++);
      }
      break;
    }
    case Rows::Bitmap: {
      std::vector<std::byte> bitmap((row_count + 7) / 8);
      decode_section(reader, bitmap);
      if (reader.failed()) break;
      rows.reserve(count);
      for (std::uint32_t row = 0; row < row_count && rows.size() <= count; ++row) {
        if ((static_cast<unsigned>(bitmap[row / 8]) >> (row % 8) & 1U) != 0) rows.push_back(row);
      }
      if (rows.size() != count) reader.fail();
      break;
    }
    default:
      reader.fail();
  }
  return static_cast<std::size_t>(count);
}

void decode_texts(ByteReader& reader, std::size_t count, TextArray& out) {
  std::vector<std::uint32_t> shared;
  std::vector<std::uint32_t> rest;
  decode_numbers_within(reader, count, 0, kShortTextBytesMax, shared);
  decode_numbers_within(reader, count, 0, kShortTextBytesMax, rest);
  if (reader.failed()) return;
  std::size_t piece_bytes = 0;
  std::size_t text_bytes = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (shared[i] > last) return reader.fail();
    last = shared[i] + rest[i];
    piece_bytes += rest[i];
    text_bytes += last;
  }
  if (text_bytes > kColumnTextBytesMax) return reader.fail();
  std::vector<std::byte> pieces(piece_bytes);
  decode_section(reader, pieces);
  if (reader.failed()) return;
  const std::size_t start = out.bytes.size();
  out.bytes.resize(start + text_bytes);
  char* to = out.bytes.data() + start;
  const char* previous = to;
  const std::byte* from = pieces.data();
  for (std::size_t i = 0; i < count; ++i) {
    if (shared[i] != 0) std::memcpy(to, previous, shared[i]);
    previous = to;
    to += shared[i];
    if (rest[i] != 0) std::memcpy(to, from, rest[i]);
    to += rest[i];
    from += rest[i];
    out.ends.push_back(static_cast<std::uint64_t>(to - out.bytes.data()));
  }
}

}  // namespace gantry::traces
