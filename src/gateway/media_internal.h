#pragma once

// Takes images and other files out of what is recorded of a conversation.

#include <string>

#include <simdjson.h>

namespace gantry::gateway {

/// Appends the value's text (messages, a prompt, input) with every image, audio, video and file
/// part replaced by {"type":"<its type>","stripped":true}. Stops, possibly in the middle, once
/// `out` is longer than kContentBytesMax. Errors: the value is not JSON; `out` then has a part.
[[nodiscard]] simdjson::error_code append_without_media(simdjson::ondemand::value& value,
                                                        std::string& out);

}  // namespace gantry::gateway
