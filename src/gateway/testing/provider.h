#pragma once

// Requests, answers and events that tests of calls to providers share.

#include <memory>
#include <string>
#include <string_view>

#include "gateway/upstream_request.h"
#include "net/testing/raw_server.h"

namespace gantry::gateway::testing {

inline constexpr std::string_view kChatBody =
    R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hello!"}]})";
inline constexpr std::string_view kChatStreamBody =
    R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hello!"}],"stream":true})";

[[nodiscard]] std::shared_ptr<const InferenceRequest> make_request(std::string_view body,
                                                                   Api api = Api::Chat);

/// OpenAI at `server`, serving gpt-4o.
[[nodiscard]] Upstream upstream_at(const net::testing::RawServer& server);

/// An answer with Content-Length. `fields` end in line breaks.
[[nodiscard]] std::string whole_answer(int status, std::string_view body,
                                       std::string_view fields =
                                           "Content-Type: "
                                           "application/json\r\n");

/// The header of an answer of events in chunks.
inline constexpr std::string_view kEventsHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: req_1\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// A chunk of the transfer.
[[nodiscard]] std::string transfer_chunk(std::string_view bytes);

/// An answer of events in one chunk.
[[nodiscard]] std::string whole_stream(std::string_view events);

/// "data: {…}" of a chat chunk with this content.
[[nodiscard]] std::string content_event(std::string_view content);

/// The events after the contents: finish reason, usage and [DONE].
[[nodiscard]] std::string last_events();

}  // namespace gantry::gateway::testing
