#include "gateway/testing/provider.h"

#include <fmt/format.h>

namespace gantry::gateway::testing {

std::shared_ptr<const InferenceRequest> make_request(std::string_view body, Api api) {
  return InferenceRequest::parse(api, std::string(body), {}).value();
}

Upstream upstream_at(const net::testing::RawServer& server) {
  return {.name = "OpenAI",
          .slug = "openai",
          .base_url = fmt::format("http://127.0.0.1:{}/v1", server.port()),
          .key = "sk-1",
          .model = "gpt-4o"};
}

std::string whole_answer(int status, std::string_view body, std::string_view fields) {
  return fmt::format("HTTP/1.1 {} X\r\n{}Content-Length: {}\r\n\r\n{}", status, fields, body.size(),
                     body);
}

std::string transfer_chunk(std::string_view bytes) {
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}

std::string whole_stream(std::string_view events) {
  return std::string(kEventsHead) + transfer_chunk(events) + std::string(kLastChunk);
}

std::string content_event(std::string_view content) {
  return fmt::format(
      R"(data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1705312800,)"
      R"("model":"gpt-4o-2024-08-06","choices":[{{"index":0,"delta":{{"content":"{}"}},)"
      "\"finish_reason\":null}}]}}\n\n",
      content);
}

std::string last_events() {
  return R"(data: {"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{},)"
         "\"finish_reason\":\"stop\"}]}\n\n"
         R"(data: {"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[],)"
         "\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3,\"total_tokens\":14}}\n\n"
         "data: [DONE]\n\n";
}

}  // namespace gantry::gateway::testing
