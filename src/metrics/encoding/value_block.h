#pragma once

// One column of doubles as bytes, lossless to the bit (NaN payloads, -0, infinities), the smallest
// of several encodings chosen by trial. Meant for 100 to 1024 values; correct for any number up to
// storage::kBlockValuesMax.
//
//   encode_values(values, out);                       // appends to out
//   GANTRY_CHECK(decode_values(bytes, values));       // values.size() as it was encoded
//
// Format: docs/formats.md, "Value blocks".

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/error.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {

/// Appends the encoded column. The number of values is not stored. Hot: per sample.
void encode_values(std::span<const double> values, std::vector<std::byte>& out);

/// Fills `values` from exactly `bytes`. Errors: DataLoss when they are not what encode_values makes
/// of this many values, with `values` unspecified. Never reads outside `bytes`. Hot: per sample.
Result<void> decode_values(std::span<const std::byte> bytes, std::span<double> values);

}  // namespace gantry::metrics
