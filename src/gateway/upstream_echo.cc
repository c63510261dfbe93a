#include "gateway/upstream_echo.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/json_writer.h"

namespace gantry::gateway {
namespace {

bool is_wanted(const InferenceRequest& request) {
  const bool has_events = request.api() == Api::Chat || request.api() == Api::Responses;
  return has_events && request.is_stream() && request.parsed().fields().echoes_upstream_body;
}

void write_debug(core::JsonWriter& json, std::string_view body) {
  json.key("debug").begin_object().key("echo_upstream_body").raw(body).end_object();
}

std::string chat_event(const AnswerShape& shape, std::string_view body) {
  std::string data;
  core::JsonWriter json(data);
  json.begin_object();
  json.key("id").string(shape.generation_id);
  json.key("provider").string(shape.provider_name);
  json.key("model").string(shape.model);
  json.key("object").string("chat.completion.chunk");
  json.key("created").integer(shape.created_unix_s);
  json.key("choices").begin_array().end_array();
  write_debug(json, body);
  json.end_object();
  return "data: " + data;
}

std::string responses_event(std::string_view body) {
  std::string data;
  core::JsonWriter json(data);
  json.begin_object();
  json.key("type").string("response.debug");
  write_debug(json, body);
  json.key("sequence_number").integer(0);
  json.end_object();
  return "event: response.debug\ndata: " + data;
}

/// The client's line ends stand between tokens only; in an event each would end a line.
std::string on_one_line(std::string body) {
  std::ranges::replace(body, '\n', ' ');
  std::ranges::replace(body, '\r', ' ');
  return body;
}

}  // namespace

void UpstreamEcho::add(const InferenceRequest& request, const Upstream& upstream,
                       const AnswerShape& shape) {
  if (!is_wanted(request)) return;
  std::string& event = events_.emplace_back();
  if (request.body().size() > kBytesMax) return;
  const std::string body = on_one_line(upstream_body(request, upstream));
  event = request.api() == Api::Chat ? chat_event(shape, body) : responses_event(body);
  event += "\n\n";
  if (event.size() > kBytesMax) return event.clear();
  bytes_ += event.size();
  for (std::string& earlier : events_) {
    if (bytes_ <= kBytesMax) break;
    bytes_ -= earlier.size();
    earlier = {};
  }
}

void UpstreamEcho::forget_last() {
  if (events_.empty()) return;
  bytes_ -= events_.back().size();
  events_.pop_back();
}

std::string UpstreamEcho::take_events() {
  std::string all;
  all.reserve(bytes_);
  for (const std::string& event : events_) all += event;
  events_.clear();
  bytes_ = 0;
  return all;
}

}  // namespace gantry::gateway
