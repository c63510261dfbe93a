#pragma once

// What the trace of a call takes from the request: where the call belongs, how it was asked for,
// and its prompt.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "gateway/generation.h"

namespace gantry::gateway {

/// Session ids and users longer than this are refused. In characters.
inline constexpr std::size_t kIdentityCharactersMax = 256;

/// Absent ones are empty.
struct ContextHeaders {
  std::string_view session_id;   ///< x-session-id
  std::string_view traceparent;  ///< More than one in a request: pass none, as W3C says.
};

struct RequestContext {
  std::string model;  ///< As asked; the first of `models` if there is none.
  TraceContext trace;
  SamplingParameters parameters;
  bool is_stream = false;
  std::int64_t tools_count = 0;
  std::string output_type;  ///< As the semantic conventions call what was asked for; or empty.
  RecordedContent prompt;
};

/// `body` is the request's JSON; 64 bytes behind it must be readable. Any number of threads. Apart
/// from what the errors name nothing fails here: fields of a wrong type are for the provider to
/// refuse, and what cannot be used of `trace` is listed in its ignored keys.
///
/// The body's session wins over the header's, its ids over traceparent. Of a field that occurs
/// twice the last counts. Keys of `trace` that are `metadata_namespace` or begin with it and a dot
/// are ignored.
///
/// Errors, InvalidArgument: "body: …" (no JSON object), "trace: must be an object", "session_id: at
/// most 256 characters", "x-session-id: at most 256 characters", "user: at most 256 characters".
[[nodiscard]] Result<RequestContext> read_request_context(Api api, std::string_view body,
                                                          const ContextHeaders& headers,
                                                          std::string_view metadata_namespace);

}  // namespace gantry::gateway
