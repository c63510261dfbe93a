#pragma once

// Remote write 1.0 has no start timestamps. Messages that Gantry keeps for itself
// (WriteOptions::has_start_timestamps) carry them under the field numbers of 2.0; receivers get
// them without.

#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::codec {

/// One or more 1.0 messages, one after the other, as they would be without start timestamps; all
/// else stays byte for byte. Errors: InvalidArgument when the bytes are not such messages.
[[nodiscard]] Result<std::string> without_start_timestamps(std::string_view messages);

}  // namespace gantry::codec
