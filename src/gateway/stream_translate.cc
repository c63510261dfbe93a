#include "gateway/stream_translate.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json_writer.h"
#include "gateway/byte_edits.h"
#include "gateway/chunk_editor_internal.h"

namespace gantry::gateway {
namespace {

constexpr std::string_view kDone = "[DONE]";

/// `data` is JSON: its line feeds stand between tokens only, and in a frame each would end a line.
void append_frame(std::string& out, std::string_view data) {
  out.append("data: ");
  const std::size_t begin = out.size();
  out.append(data);
  std::replace(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), '\n', ' ');
  out.append("\n\n");
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

/// A last chunk: SDKs that know no `error` see that the choice ended.
std::string error_chunk(const AnswerShape& shape, const TypedError& error) {
  const bool is_chat = shape.api == Api::Chat;
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.key("id").string(shape.generation_id);
  json.key("object").string(is_chat ? "chat.completion.chunk" : "text_completion");
  json.key("created").integer(shape.created_unix_s);
  json.key("model").string(shape.model);
  if (!shape.provider_name.empty()) json.key("provider").string(shape.provider_name);
  json.key("error").raw(openai_error_object(error));
  json.key("choices").begin_array().begin_object();
  json.key("index").integer(0);
  if (is_chat) {
    json.key("delta").begin_object().key("content").string("").end_object();
  } else {
    json.key("text").string("");
  }
  json.key("finish_reason").string("error");
  json.end_object().end_array().end_object();
  return out;
}

/// The event's name, or the `type` that says the same.
std::string event_type(const SseEvent& event) {
  std::string type(event.name);
  if (!type.empty()) return type;
  JsonReader json(event.data);
  json.object([&](const JsonMember& member) {
    if (member.key == "type") type = json.string().value_or("");
  });
  return type;
}

bool is_last_event(std::string_view type) {
  return type == "message_stop" || type == "response.completed" || type == "response.incomplete";
}

/// `data` with the error's word in the object `holder` of the event; "": in the event itself. What
/// has no such object, or an `error_type` of the provider's, stays as it is.
std::string with_error_type(std::string_view data, std::string_view holder, ErrorType type) {
  JsonReader json(data);
  std::optional<ByteRange> object;
  bool is_empty = true;
  bool has_type = false;
  const auto read_holder = [&] {
    if (json.kind() != JsonKind::Object) return;
    const std::size_t begin = json.position();
    json.object([&](const JsonMember& member) {
      is_empty = false;
      has_type |= member.key == "error_type";
    });
    object = ByteRange{begin, json.value_end()};
  };
  if (holder.empty()) {
    read_holder();
  } else {
    json.object([&](const JsonMember& member) {
      if (member.key == holder) read_holder();
    });
  }
  if (!json.finish() || !object || has_type) return std::string(data);
  ByteEdits edits;
  edits.insert(object->end - 1, fmt::format("{}\"error_type\":{}", is_empty ? "" : ",",
                                            json_string(error_word(type))));
  std::string out;
  edits.apply(data, out);
  return out;
}

/// What Responses says of a response that no more tokens fit into.
constexpr std::string_view kCutDetails = R"({"reason":"max_output_tokens"})";

/// A response.failed event as response.incomplete: with the response's output and usage, and
/// without its error. "" if `data` has no response.
std::string as_cut_response(std::string_view data) {
  ByteEdits edits;
  JsonReader json(data);
  std::optional<std::size_t> end;
  EarlierMembers earlier = EarlierMembers::AllRemoved;
  const auto read_response = [&] {
    if (json.kind() != JsonKind::Object) return;
    earlier = EarlierMembers::AllRemoved;
    json.object([&](const JsonMember& member) {
      const bool is_ours = member.key == "status" || member.key == "error" ||
                           member.key == "error_type" || member.key == "incomplete_details";
      if (!is_ours) {
        earlier = EarlierMembers::SomeKept;
        return;
      }
      json.skip();
      edits.remove(member_range(data, member, json.value_end(), earlier));
    });
    end = json.value_end();
  };
  json.object([&](const JsonMember& member) {
    if (member.key == "type") edits.replace(json.skip(), R"("response.incomplete")");
    if (member.key == "response") read_response();
  });
  if (!json.finish() || !end) return {};
  edits.insert(*end - 1,
               fmt::format(R"({}"status":"incomplete","error":null,"incomplete_details":{})",
                           earlier == EarlierMembers::AllRemoved ? "" : ",", kCutDetails));
  std::string out;
  edits.apply(data, out);
  return out;
}

}  // namespace

StreamState StreamTranslator::translate(const SseEvent& event, std::string& out) {
  if (state_ != StreamState::Open || trim(event.data).empty()) return state_;
  if (trim(event.data) == kDone) {
    append_frame(out, kDone);
    state_ = StreamState::Done;
  } else if (shape_.api == Api::Responses || shape_.api == Api::Messages) {
    pass_on(event, out);
  } else {
    translate_chunk(event, out);
  }
  return state_;
}

void StreamTranslator::translate_chunk(const SseEvent& event, std::string& out) {
  if (event.name == "error") return fail(classify_stream_error(event.data), out);
  ChunkEditor editor(event.data, shape_, tool_calls_);
  switch (editor.run()) {
    case ChunkEditor::Outcome::Chunk:
      append_frame(out, editor.edited());
      break;
    case ChunkEditor::Outcome::Dropped:
      break;
    case ChunkEditor::Outcome::Error:
      return fail(classify_stream_error(event.data), out);
    case ChunkEditor::Outcome::Broken:
      return fail(provider_disconnected(), out);
  }
  has_finish_reason_ |= editor.has_finish_reason();
}

void StreamTranslator::pass_on(const SseEvent& event, std::string& out) {
  // The first event says it, unless a provider that is a gateway put events of its own before.
  constexpr std::int64_t kFirstEvents = 8;
  const bool is_begin = response_.id.empty() && events_count_ < kFirstEvents;
  if (shape_.api == Api::Responses && is_begin) note_response(event.data);
  const std::string type = event_type(event);
  if (is_error_event(type)) return pass_on_error(event, type == "response.failed", out);
  ++events_count_;
  if (!event.name.empty()) out.append("event: ").append(event.name).append("\n");
  append_frame(out, event.data);
  if (is_last_event(type)) state_ = StreamState::Done;
}

void StreamTranslator::pass_on_error(const SseEvent& event, bool is_failed_response,
                                     std::string& out) {
  TypedError error = classify_stream_error(event.data);
  if (shape_.api == Api::Responses && is_token_limit(error.type)) {
    const std::string given = is_failed_response ? as_cut_response(event.data) : "";
    out.append("event: response.incomplete\n");
    append_frame(out, given.empty() ? last_event(nullptr) : given);
    state_ = StreamState::Done;
    return;
  }
  const std::string_view holder = is_failed_response            ? "response"
                                  : shape_.api == Api::Messages ? "error"
                                                                : "";
  if (!event.name.empty()) out.append("event: ").append(event.name).append("\n");
  append_frame(out, with_error_type(event.data, holder, error.type));
  error_ = std::move(error);
  state_ = StreamState::Failed;
}

void StreamTranslator::note_response(std::string_view data) {
  JsonReader json(data);
  json.object([&](const JsonMember& member) {
    if (member.key != "response") return;
    json.object([&](const JsonMember& part) {
      if (part.key == "id") response_.id = json.string().value_or("");
      if (part.key == "model") response_.model = json.string().value_or("");
      if (part.key == "created_at") response_.created_at = json.integer();
    });
  });
}

/// Of the response that had begun, and now has failed with `error`, or was cut. Its output is what
/// the client has got.
std::string StreamTranslator::last_event(const TypedError* error) const {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.key("type").string(error != nullptr ? "response.failed" : "response.incomplete");
  json.key("response").begin_object();
  json.key("id").string(response_.id.empty() ? shape_.generation_id : response_.id);
  json.key("object").string("response");
  json.key("created_at").integer(response_.created_at.value_or(shape_.created_unix_s));
  if (error != nullptr) {
    json.key("status").string("failed");
    json.key("error").begin_object();
    json.key("code").string(responses_error_word(error->type));
    json.key("message").string(error->message);
    json.end_object();
    json.key("error_type").string(error_word(error->type));
    json.key("incomplete_details").null();
  } else {
    json.key("status").string("incomplete");
    json.key("error").null();
    json.key("incomplete_details").raw(kCutDetails);
  }
  json.key("model").string(response_.model.empty() ? shape_.model : response_.model);
  json.key("output").begin_array().end_array();
  json.key("usage").null();
  json.end_object();
  json.key("sequence_number").integer(events_count_);
  json.end_object();
  return out;
}

StreamState StreamTranslator::finish(std::string& out) {
  if (state_ != StreamState::Open) return state_;
  if (has_finish_reason_) {
    append_frame(out, kDone);
    state_ = StreamState::Done;
  } else {
    fail(provider_disconnected(), out);
  }
  return state_;
}

void StreamTranslator::fail(TypedError error, std::string& out) {
  GANTRY_ASSERT(state_ == StreamState::Open, "a stream ends once");
  error_ = std::move(error);
  name_moderator(error_, shape_.provider_name, shape_.model);
  state_ = StreamState::Failed;
  switch (shape_.api) {
    case Api::Messages:
      out.append("event: error\n");
      return append_frame(out, anthropic_error_body(error_, shape_.generation_id));
    case Api::Responses:
      out.append("event: response.failed\n");
      return append_frame(out, last_event(&error_));
    case Api::Chat:
    case Api::Completions:
    case Api::Embeddings:
      append_frame(out, error_chunk(shape_, error_));
      return append_frame(out, kDone);
  }
}

}  // namespace gantry::gateway
