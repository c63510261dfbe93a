#pragma once

// Integer blocks inside other blocks: read from a reader, without the limit of one column.

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/byte_cursor.h"

namespace gantry::metrics {

/// Fails the reader on bad bytes.
void decode_integers_from(ByteReader& reader, std::span<std::int64_t> values);

}  // namespace gantry::metrics
