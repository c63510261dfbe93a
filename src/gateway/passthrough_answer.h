#pragma once

// What the trace of a call takes from an answer in one piece that is passed on as it came: those of
// the Responses and Messages APIs.

#include <string_view>

#include "core/error.h"
#include "gateway/answer_reader.h"
#include "gateway/generation.h"

namespace gantry::gateway {

/// As read_answer, for the other two APIs; nothing behind `body` need be readable. Texts of several
/// parts are joined. Errors, InvalidArgument: "answer: …": not a JSON object.
[[nodiscard]] Result<Answer> read_passthrough_answer(Api api, std::string_view body);

}  // namespace gantry::gateway
