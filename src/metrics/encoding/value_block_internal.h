#pragma once

// Value blocks inside other blocks: read from a reader.

#include <span>

#include "storage/byte_cursor.h"

namespace gantry::metrics {

/// Fails the reader on bad bytes.
void decode_values_from(storage::ByteReader& reader, std::span<double> values);

}  // namespace gantry::metrics
