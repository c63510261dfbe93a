#pragma once

// OTLP messages in protobuf rewritten as JSON: the reverse of otlp_json.h, by the same tables.

#include <string>
#include <string_view>

#include "codec/otlp_json.h"
#include "core/error.h"

namespace gantry::codec {

/// Appends the message as OTLP/JSON: ids are lower-case hexadecimal, 64-bit integers are strings,
/// enums are numbers, doubles that JSON cannot hold are "NaN", "Infinity" and "-Infinity"; text
/// that is not UTF-8 gets U+FFFD. Fields that the tables do not have, or not so (numbers of a list
/// must be packed), are left out; a field of a single message that comes several times counts with
/// the last. Errors: InvalidArgument when the bytes are not protobuf; `out` has then a part of it.
[[nodiscard]] Result<void> append_otlp_json(OtlpJsonMessage message, std::string_view protobuf,
                                            std::string& out);

}  // namespace gantry::codec
