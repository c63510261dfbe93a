#pragma once

// One column of 64-bit integers as bytes: constants, frames of reference over the values, their
// differences or the differences of these, run lengths. Timestamps, counts, ids.
//
// Format: docs/formats.md, "Integer blocks".

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/error.h"
#include "storage/byte_cursor.h"

namespace gantry::storage {

inline constexpr std::size_t kBlockValuesMax = 65536;

/// Appends the encoded column; at most kBlockValuesMax values. The number of values is not stored.
/// Hot: per sample.
void encode_integers(std::span<const std::int64_t> values, std::vector<std::byte>& out);

/// Fills `values` from exactly `bytes`. Errors: DataLoss, as decode_values. Hot: per sample.
Result<void> decode_integers(std::span<const std::byte> bytes, std::span<std::int64_t> values);

/// The same for a block inside other bytes. Fails the reader on bad bytes.
void decode_integers_from(ByteReader& reader, std::span<std::int64_t> values);

/// The same for milliseconds, ascending. Equal columns make equal bytes, so that blocks may share
/// them.
void encode_timestamps(std::span<const std::int64_t> timestamps_ms, std::vector<std::byte>& out);

/// Errors: DataLoss, also when the timestamps do not strictly ascend.
Result<void> decode_timestamps(std::span<const std::byte> bytes,
                               std::span<std::int64_t> timestamps_ms);

}  // namespace gantry::storage
