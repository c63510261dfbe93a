#include "gateway/request_context.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "core/utf8.h"
#include "gateway/content.h"
#include "gateway/json_values_internal.h"
#include "gateway/media_internal.h"
#include "gateway/trace_ids.h"
#include "gateway/trace_metadata_internal.h"

namespace gantry::gateway {

namespace ondemand = simdjson::ondemand;

namespace {

/// OpenAI takes four; each is as long as a metadata value may be.
constexpr std::size_t kStopSequencesMax = 16;

/// The member that has the conversation, and the one that stands before it.
struct PromptMembers {
  std::string_view prompt;
  std::string_view instructions;  ///< Empty: the API has none apart from the messages.
};

PromptMembers prompt_members(Api api) {
  switch (api) {
    case Api::Completions:
      return {.prompt = "prompt", .instructions = {}};
    case Api::Embeddings:
      return {.prompt = "input", .instructions = {}};
    case Api::Responses:
      return {.prompt = "input", .instructions = "instructions"};
    case Api::Messages:
      return {.prompt = "messages", .instructions = "system"};
    case Api::Chat:
      break;
  }
  return {.prompt = "messages", .instructions = {}};
}

/// Headers may hold any byte.
std::string repaired(std::string_view text) {
  if (core::is_valid_utf8(text)) return std::string(text);
  std::string out;
  for (std::size_t position = 0; position < text.size();) {
    core::append_utf8(out, core::next_code_point(text, position));
  }
  return out;
}

class RequestReader {
 public:
  RequestReader(Api api, std::string_view metadata_namespace)
      : members_(prompt_members(api)), namespace_(metadata_namespace) {}

  Result<void> read(std::string_view body);
  Result<void> add_headers(const ContextHeaders& headers);
  RequestContext take();

 private:
  /// Each says whether the member was one of its own.
  bool read_double(std::string_view key, ondemand::value& value);
  bool read_count(std::string_view key, ondemand::value& value);

  simdjson::error_code read_member(std::string_view key, ondemand::value& value);
  simdjson::error_code read_trace(ondemand::value& value);
  simdjson::error_code read_identity(std::string_view key, ondemand::value& value,
                                     std::string& identity);
  simdjson::error_code read_models(ondemand::value& value);
  simdjson::error_code read_stop(ondemand::value& value);
  simdjson::error_code read_format(ondemand::value& value);
  simdjson::error_code read_modalities(ondemand::value& value);

  PromptMembers members_;
  std::string_view namespace_;
  RequestContext request_;
  TraceContext trace_;  ///< Of the trace object alone.
  bool is_trace_refused_ = false;
  std::string first_of_models_;
  std::optional<std::int64_t> max_tokens_;  ///< The older name.
  std::string_view format_type_;            ///< The output type that a format asks for.
  std::string_view modality_type_;          ///< That which the modalities ask for: it goes first.
  std::string prompt_;
  std::string instructions_;
};

Result<void> RequestReader::read(std::string_view body) {
  GANTRY_CHECK(read_json_object("body", body, [this](std::string_view key, ondemand::value& value) {
    return read_member(key, value);
  }));
  if (is_trace_refused_) return fail(Code::InvalidArgument, "trace: must be an object");
  for (const auto& [name, identity] : {std::pair{"session_id", &request_.trace.session_id},
                                       std::pair{"user", &request_.trace.user_id}}) {
    if (core::count_code_points(*identity) > kIdentityCharactersMax) {
      return fail(Code::InvalidArgument,
                  fmt::format("{}: at most {} characters", name, kIdentityCharactersMax));
    }
  }
  return {};
}

simdjson::error_code RequestReader::read_member(std::string_view key, ondemand::value& value) {
  if (key == "trace") return read_trace(value);
  if (key == "session_id") return read_identity(key, value, request_.trace.session_id);
  if (key == "user") return read_identity(key, value, request_.trace.user_id);
  if (key == "model") {
    request_.model = as_string(value).value_or("");
  } else if (key == "models") {
    return read_models(value);
  } else if (key == "stream") {
    request_.is_stream = as_bool(value).value_or(false);
  } else if (key == "stop" || key == "stop_sequences") {
    return read_stop(value);
  } else if (key == "modalities") {
    return read_modalities(value);
  } else if (key == "response_format" || key == "output_format") {
    return read_format(value);
  } else if (key == "text" || key == "output_config") {
    return each_member(value, [this](std::string_view name, ondemand::value& member) {
      return name == "format" ? read_format(member) : simdjson::SUCCESS;
    });
  } else if (key == "tools") {
    request_.tools_count = element_count(value).value_or(0);
  } else if (key == members_.prompt) {
    prompt_.clear();
    return append_without_media(value, prompt_);
  } else if (key == members_.instructions) {
    instructions_.clear();
    return append_without_media(value, instructions_);
  } else if (!read_double(key, value)) {
    static_cast<void>(read_count(key, value));
  }
  return simdjson::SUCCESS;
}

bool RequestReader::read_double(std::string_view key, ondemand::value& value) {
  SamplingParameters& parameters = request_.parameters;
  for (const auto& [name, parameter] :
       {std::pair{"temperature", &parameters.temperature}, std::pair{"top_p", &parameters.top_p},
        std::pair{"frequency_penalty", &parameters.frequency_penalty},
        std::pair{"presence_penalty", &parameters.presence_penalty}}) {
    if (key != name) continue;
    *parameter = as_double(value);
    return true;
  }
  return false;
}

bool RequestReader::read_count(std::string_view key, ondemand::value& value) {
  SamplingParameters& parameters = request_.parameters;
  for (const auto& [name, parameter] :
       {std::pair{"max_completion_tokens", &parameters.max_tokens},
        std::pair{"max_output_tokens", &parameters.max_tokens},
        std::pair{"max_tokens", &max_tokens_}, std::pair{"seed", &parameters.seed},
        std::pair{"top_k", &parameters.top_k}, std::pair{"n", &parameters.choice_count}}) {
    if (key != name) continue;
    *parameter = as_integer(value);
    return true;
  }
  return false;
}

simdjson::error_code RequestReader::read_trace(ondemand::value& value) {
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  trace_ = TraceContext{};
  is_trace_refused_ = type != ondemand::json_type::object && type != ondemand::json_type::null;
  if (type != ondemand::json_type::object) return simdjson::SUCCESS;
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  return read_trace_object(object, namespace_, trace_);
}

simdjson::error_code RequestReader::read_identity(std::string_view key, ondemand::value& value,
                                                  std::string& identity) {
  identity.clear();
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (type == ondemand::json_type::null) return simdjson::SUCCESS;
  if (type == ondemand::json_type::string) {
    if (const auto text = as_string(value)) {
      identity = *text;
      return simdjson::SUCCESS;
    }
  } else if (type == ondemand::json_type::number || type == ondemand::json_type::boolean) {
    std::string_view text;
    if (const auto error = raw_json(value).get(text)) return error;
    identity = text;
    return simdjson::SUCCESS;
  }
  IgnoredKeys(request_.trace).add(key);
  return simdjson::SUCCESS;
}

simdjson::error_code RequestReader::read_models(ondemand::value& value) {
  first_of_models_.clear();
  bool is_first = true;
  return each_element(value, [&](ondemand::value& element) {
    if (std::exchange(is_first, false)) first_of_models_ = as_string(element).value_or("");
    return simdjson::SUCCESS;
  });
}

simdjson::error_code RequestReader::read_stop(ondemand::value& value) {
  std::vector<std::string>& stop = request_.parameters.stop;
  stop.clear();
  const auto add = [&stop](ondemand::value& element) {
    const auto text = as_string(element);
    if (text && !text->empty()) stop.emplace_back(cut_text(*text, kMetadataValueBytesMax));
  };
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (type == ondemand::json_type::string) {
    add(value);
    return simdjson::SUCCESS;
  }
  return each_element(value, [&](ondemand::value& element) {
    if (stop.size() < kStopSequencesMax) add(element);
    return simdjson::SUCCESS;
  });
}

/// Of OpenAI's two APIs and of Anthropic's, which have it in different places.
simdjson::error_code RequestReader::read_format(ondemand::value& value) {
  format_type_ = {};
  return each_member(value, [this](std::string_view key, ondemand::value& member) {
    if (key != "type") return simdjson::SUCCESS;
    const auto type = as_string(member);
    if (type) format_type_ = type->starts_with("json") ? "json" : "text";
    return simdjson::SUCCESS;
  });
}

simdjson::error_code RequestReader::read_modalities(ondemand::value& value) {
  modality_type_ = {};
  bool has_text = false;
  if (const auto error = each_element(value, [&](ondemand::value& element) {
        const auto name = as_string(element);
        has_text |= name == "text";
        if (name == "image" && modality_type_.empty()) modality_type_ = "image";
        if (name == "audio" && modality_type_.empty()) modality_type_ = "speech";
        return simdjson::SUCCESS;
      })) {
    return error;
  }
  // Text beside something else is the something's transcript; alone it may still have a format.
  if (modality_type_.empty() && has_text && format_type_.empty()) format_type_ = "text";
  return simdjson::SUCCESS;
}

Result<void> RequestReader::add_headers(const ContextHeaders& headers) {
  if (request_.trace.session_id.empty()) {
    std::string session_id = repaired(headers.session_id);
    if (core::count_code_points(session_id) > kIdentityCharactersMax) {
      return fail(Code::InvalidArgument,
                  fmt::format("x-session-id: at most {} characters", kIdentityCharactersMax));
    }
    request_.trace.session_id = std::move(session_id);
  }
  const auto caller = parse_traceparent(headers.traceparent);
  if (!caller) return {};
  // The caller's span is a parent only in the caller's trace.
  const bool is_same_trace = trace_.trace_id.empty() || derive_trace_id(trace_.trace_id, {}) ==
                                                            derive_trace_id(caller->trace_id, {});
  if (trace_.trace_id.empty()) trace_.trace_id = caller->trace_id;
  if (trace_.parent_span_id.empty() && is_same_trace) trace_.parent_span_id = caller->parent_id;
  return {};
}

RequestContext RequestReader::take() {
  if (request_.model.empty()) request_.model = std::move(first_of_models_);
  if (!request_.parameters.max_tokens) request_.parameters.max_tokens = max_tokens_;
  request_.output_type = modality_type_.empty() ? format_type_ : modality_type_;

  IgnoredKeys ignored(trace_);
  for (const std::string& key : request_.trace.ignored_keys) ignored.add(key);
  trace_.session_id = std::move(request_.trace.session_id);
  trace_.user_id = std::move(request_.trace.user_id);
  request_.trace = std::move(trace_);

  if (!prompt_.empty()) {
    std::string json = "{";
    if (!instructions_.empty())
      json += fmt::format("\"{}\":{},", members_.instructions, instructions_);
    json += fmt::format("\"{}\":{}}}", members_.prompt, prompt_);
    request_.prompt = record_content(std::move(json));
  }
  return std::move(request_);
}

}  // namespace

Result<RequestContext> read_request_context(Api api, std::string_view body,
                                            const ContextHeaders& headers,
                                            std::string_view metadata_namespace) {
  RequestReader reader(api, metadata_namespace);
  GANTRY_CHECK(reader.read(body));
  GANTRY_CHECK(reader.add_headers(headers));
  return reader.take();
}

}  // namespace gantry::gateway
