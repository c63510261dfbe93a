#include "gateway/upstream_request.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "core/version.h"
#include "gateway/byte_edits.h"

namespace gantry::gateway {
namespace {

constexpr std::string_view kAnthropicVersion = "2023-06-01";

/// Never passed on, even if an operator lists them: the client's credentials, what belongs to its
/// connection (RFC 9110, 7.6.1) and body, what is the gateway's own to say, and trace context,
/// which would tell a provider of the client's other systems.
constexpr std::array<std::string_view, 26> kNeverForwarded = {"authorization",
                                                              "cookie",
                                                              "x-api-key",
                                                              "api-key",
                                                              "proxy-authorization",
                                                              "proxy-authenticate",
                                                              "proxy-connection",
                                                              "connection",
                                                              "keep-alive",
                                                              "te",
                                                              "trailer",
                                                              "transfer-encoding",
                                                              "upgrade",
                                                              "expect",
                                                              "host",
                                                              "content-length",
                                                              "content-type",
                                                              "content-encoding",
                                                              "accept",
                                                              "accept-encoding",
                                                              "user-agent",
                                                              "traceparent",
                                                              "tracestate",
                                                              "baggage",
                                                              "x-session-id",
                                                              "set-cookie"};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return lower;
}

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// Names that the client's Connection fields declare to be of its connection only.
std::vector<std::string> connection_options(const net::Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [name, value] : headers.fields()) {
    if (lower_case(name) != "connection") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      std::string option = lower_case(rest.substr(0, end));
      std::erase_if(option, [](char c) { return c == ' ' || c == '\t'; });
      names.push_back(std::move(option));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return names;
}

void add_forwarded(const net::Headers& client, const Upstream& upstream, net::Headers& out) {
  if (upstream.forward_headers.empty() && !upstream.forwards_trace_context) return;
  const std::vector<std::string> of_connection = connection_options(client);
  const auto is_listed = [&](const std::string& lower) {
    return std::ranges::any_of(upstream.forward_headers, [&](const std::string& listed) {
      return lower_case(listed) == lower;
    });
  };
  for (const auto& [name, value] : client.fields()) {
    const std::string lower = lower_case(name);
    if (contains(of_connection, lower)) continue;
    const bool is_wanted = lower == "traceparent" || lower == "tracestate"
                               ? upstream.forwards_trace_context
                               : !contains(kNeverForwarded, lower) && is_listed(lower);
    if (is_wanted) out.add(name, value);
  }
}

net::Headers upstream_headers(const InferenceRequest& request, const Upstream& upstream) {
  net::Headers headers;
  headers.add("Content-Type", "application/json");
  headers.add("Accept", request.is_stream() ? "text/event-stream" : "application/json");
  headers.add("User-Agent", fmt::format("gantry/{}", core::version()));
  add_forwarded(request.headers(), upstream, headers);
  if (upstream.type == UpstreamType::Anthropic && !headers.contains("anthropic-version")) {
    headers.add("anthropic-version", std::string(kAnthropicVersion));
  }
  if (!upstream.key.empty()) {
    switch (upstream.type) {
      case UpstreamType::OpenAi:
        headers.set("Authorization", "Bearer " + upstream.key);
        break;
      case UpstreamType::Anthropic:
        headers.set("x-api-key", upstream.key);
        break;
      case UpstreamType::AzureOpenAi:
        headers.set("api-key", upstream.key);
        break;
    }
  }
  for (const auto& [name, value] : upstream.headers.fields()) headers.set(name, value);
  return headers;
}

std::string_view path_of(Api api) {
  switch (api) {
    case Api::Chat:
      return "/chat/completions";
    case Api::Completions:
      return "/completions";
    case Api::Embeddings:
      return "/embeddings";
    case Api::Responses:
      return "/responses";
    case Api::Messages:
      return "/messages";
  }
  std::unreachable();
}

std::string_view type_name(UpstreamType type) {
  switch (type) {
    case UpstreamType::OpenAi:
      return "openai";
    case UpstreamType::Anthropic:
      return "anthropic";
    case UpstreamType::AzureOpenAi:
      return "azure-openai";
  }
  std::unreachable();
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
    is_plain ? out.push_back(c) : static_cast<void>(out += fmt::format("%{:02X}", byte));
  }
  return out;
}

std::string url_of(const Upstream& upstream, Api api) {
  std::string url = upstream.base_url;
  while (url.ends_with('/')) url.pop_back();
  const bool is_versioned =
      upstream.type == UpstreamType::AzureOpenAi && !upstream.api_version.empty();
  // Azure's Responses take the deployment from the body.
  if (is_versioned && api != Api::Responses) {
    url += "/deployments/" + percent_encoded(upstream.model);
  }
  url += path_of(api);
  if (is_versioned) url += "?api-version=" + percent_encoded(upstream.api_version);
  return url;
}

bool speaks(UpstreamType type, Api api) {
  return (type == UpstreamType::Anthropic) == (api == Api::Messages);
}

UpstreamShape shape_of(const Upstream& upstream) {
  return {.model = upstream.model, .usage = upstream.usage, .fields = upstream.gateway_fields};
}

/// What the pieces of a body refer to.
struct SharedBody {
  std::shared_ptr<const InferenceRequest> request;
  ByteEdits edits;
};

net::CallBody shared_body(const std::shared_ptr<const InferenceRequest>& request,
                          const Upstream& upstream) {
  const auto owner = std::make_shared<const SharedBody>(
      SharedBody{.request = request, .edits = request->parsed().edits(shape_of(upstream))});
  return {.pieces = owner->edits.pieces(request->body()), .owner = owner};
}

}  // namespace

std::vector<std::string> default_forward_headers(UpstreamType type) {
  if (type != UpstreamType::Anthropic) return {};
  return {"anthropic-beta", "anthropic-version"};
}

bool is_never_forwarded(std::string_view name) {
  return contains(kNeverForwarded, lower_case(name));
}

Result<std::shared_ptr<const InferenceRequest>> InferenceRequest::parse(Api api, std::string body,
                                                                        net::Headers headers) {
  // Parsed in its final place: what is parsed has views of it.
  std::shared_ptr<InferenceRequest> request(
      new InferenceRequest(api, std::move(body), std::move(headers)));
  GANTRY_TRY(RequestBody parsed, RequestBody::parse(request->body_, api));
  request->parsed_ = std::move(parsed);
  return request;
}

Result<net::CallRequest> make_upstream_request(
    const std::shared_ptr<const InferenceRequest>& request, const Upstream& upstream) {
  if (!speaks(upstream.type, request->api())) {
    return fail(Code::Unimplemented,
                fmt::format("provider {}, of type {}, does not speak {}", upstream.slug,
                            type_name(upstream.type), path_of(request->api())));
  }
  return net::CallRequest{.method = "POST",
                          .url = url_of(upstream, request->api()),
                          .headers = upstream_headers(*request, upstream),
                          .body = shared_body(request, upstream),
                          // A second copy may be paid twice; whoever plans the attempts decides.
                          .may_repeat = false,
                          .connect_timeout = upstream.timeouts.connect,
                          .header_timeout = upstream.timeouts.headers,
                          .idle_timeout = upstream.timeouts.idle,
                          .total_timeout = upstream.timeouts.total};
}

std::string upstream_body(const InferenceRequest& request, const Upstream& upstream) {
  return request.parsed().splice(shape_of(upstream));
}

net::Headers passed_answer_headers(const net::Headers& upstream) {
  net::Headers passed;
  if (const auto id = upstream.find("x-request-id"); !id.empty()) {
    passed.add("X-Upstream-Request-Id", std::string(id));
  }
  if (const auto duration = upstream.find("openai-processing-ms"); !duration.empty()) {
    passed.add("openai-processing-ms", std::string(duration));
  }
  return passed;
}

}  // namespace gantry::gateway
