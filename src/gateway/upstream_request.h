#pragma once

// A client's request as a provider gets it: where to, with which header, and the client's own bytes
// but for what must change.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/time.h"
#include "gateway/request_splice.h"
#include "net/http.h"
#include "net/streaming_client.h"

namespace gantry::gateway {

/// What a provider speaks. OpenAi is also everybody who speaks like it.
enum class UpstreamType : std::uint8_t { OpenAi, Anthropic, AzureOpenAi };

struct UpstreamTimeouts {
  DurationMs connect{5'000};
  DurationMs headers{60'000};
  DurationMs idle{60'000};  ///< Between two events of a stream, or two pieces of an answer.
  DurationMs total{600'000};
};

/// A provider and the model at it that one attempt goes to.
struct Upstream {
  std::string name;  ///< "OpenAI": in spans.
  std::string slug;
  UpstreamType type = UpstreamType::OpenAi;

  /// "https://api.openai.com/v1", "https://api.anthropic.com/v1",
  /// "https://example.openai.azure.com/openai"; slashes at its end do not count.
  std::string base_url;

  /// Azure's, "2024-10-21": then the model is a deployment, named in the path. "": its API without
  /// versions, below /openai/v1.
  std::string api_version;
  std::string key;       ///< Secret. "": the provider asks for none.
  net::Headers headers;  ///< Static ones; they win over all others.

  /// Names of the client's fields that are passed on. Those that concern the client's own
  /// connection, identity or trace are not, whatever stands here.
  std::vector<std::string> forward_headers;
  bool forwards_trace_context = false;   ///< traceparent and tracestate are passed on all the same.
  std::string model;                     ///< As the provider calls it.
  StreamUsage usage = StreamUsage::Ask;  ///< Ask: it knows stream_options.include_usage.
  GatewayFields gateway_fields = GatewayFields::Remove;
  UpstreamTimeouts timeouts;
};

/// anthropic-beta and anthropic-version for Anthropic, nothing for others.
[[nodiscard]] std::vector<std::string> default_forward_headers(UpstreamType type);

/// Whether a client's field of that name never goes to a provider, whoever asks for it.
[[nodiscard]] bool is_never_forwarded(std::string_view name);

/// A request of a client, which all its attempts share. Immutable.
class InferenceRequest {
 public:
  /// Errors: as RequestBody::parse.
  static Result<std::shared_ptr<const InferenceRequest>> parse(Api api, std::string body,
                                                               net::Headers headers);

  InferenceRequest(const InferenceRequest&) = delete;
  InferenceRequest& operator=(const InferenceRequest&) = delete;

  [[nodiscard]] Api api() const { return api_; }

  [[nodiscard]] std::string_view body() const { return body_; }

  [[nodiscard]] const net::Headers& headers() const { return headers_; }

  [[nodiscard]] const RequestBody& parsed() const { return *parsed_; }

  [[nodiscard]] bool is_stream() const { return parsed_->fields().is_stream; }

 private:
  InferenceRequest(Api api, std::string body, net::Headers headers)
      : api_(api), body_(std::move(body)), headers_(std::move(headers)) {}

  Api api_;
  std::string body_;
  net::Headers headers_;
  std::optional<RequestBody> parsed_;  ///< Of `body_`. Always there once `parse` gave this out.
};

/// The body shares the client's bytes and keeps `request` alive. Errors: Unimplemented, if the
/// provider's type does not speak the request's API.
[[nodiscard]] Result<net::CallRequest> make_upstream_request(
    const std::shared_ptr<const InferenceRequest>& request, const Upstream& upstream);

/// The body of that request in one piece.
[[nodiscard]] std::string upstream_body(const InferenceRequest& request, const Upstream& upstream);

/// What a client may see of the fields of a provider's answer: x-request-id, as
/// X-Upstream-Request-Id, and openai-processing-ms.
[[nodiscard]] net::Headers passed_answer_headers(const net::Headers& upstream);

}  // namespace gantry::gateway
