#pragma once

// Columns of numbers, rows and texts as bytes and back: lossless, compressed, each piece for itself
// so that its statistics are not mixed with another's.
//
// Format: docs/formats.md, "Trace blocks: columns".

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "storage/byte_cursor.h"

namespace gantry::traces {

/// Rows of any table of a group. Readers allocate for no more than this, whatever a file says.
inline constexpr std::uint32_t kGroupRowsMax = 1U << 24;

/// Longer texts are stored in frames of their own.
inline constexpr std::size_t kShortTextBytesMax = 256;

/// Of the short texts of one column, or of its long ones.
inline constexpr std::size_t kColumnTextBytesMax = 1ULL << 30;

/// One thread.
class ColumnEncoder {
 public:
  /// `compression_level`: zstd's, 0 for none.
  explicit ColumnEncoder(int compression_level);
  ~ColumnEncoder();
  ColumnEncoder(const ColumnEncoder&) = delete;
  ColumnEncoder& operator=(const ColumnEncoder&) = delete;

  /// Their number is not stored.
  void numbers(std::span<const std::int64_t> values, std::vector<std::byte>& out);

  /// `rows`: ascending, each once, below `row_count`, which is not stored.
  void rows(std::span<const std::uint32_t> rows, std::uint32_t row_count,
            std::vector<std::byte>& out);

  /// Ascending, each once, each at most kShortTextBytesMax long. Their number is not stored.
  void texts(std::span<const std::string_view> sorted, std::vector<std::byte>& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The inverse. Bad bytes fail the reader; what is in the output then is of no use.

void decode_numbers(storage::ByteReader& reader, std::span<std::int64_t> values);

/// Replaces `out` by `count` numbers, all in [min, max].
template <std::integral T>
void decode_numbers_within(storage::ByteReader& reader, std::size_t count, std::int64_t min,
                           std::int64_t max, std::vector<T>& out) {
  std::vector<std::int64_t> values(count);
  decode_numbers(reader, values);
  out.resize(count);
  if (reader.failed()) return;
  bool is_within = true;
  for (std::size_t i = 0; i < count; ++i) {
    is_within &= values[i] >= min && values[i] <= max;
    out[i] = static_cast<T>(values[i]);
  }
  if (!is_within) reader.fail();
}

/// Returns how many; all of `row_count` leave `rows` empty.
std::size_t decode_rows(storage::ByteReader& reader, std::uint32_t row_count,
                        std::vector<std::uint32_t>& rows);

/// Texts back to back in one piece of memory.
struct TextArray {
  std::vector<char> bytes;
  std::vector<std::uint64_t> ends;  ///< Of each text in `bytes`.
};

/// Appends `count` texts. They ascend.
void decode_texts(storage::ByteReader& reader, std::size_t count, TextArray& out);

}  // namespace gantry::traces
