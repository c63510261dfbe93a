#include "gateway/request_splice.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace gantry::gateway {
namespace {

/// Never sent to a provider that is not a gateway itself.
constexpr std::array<std::string_view, 7> kGatewayKeys = {
    "models", "provider", "session_id", "trace", "route", "plugins", "debug"};

bool is_gateway_key(std::string_view key, Api api) {
  return std::ranges::find(kGatewayKeys, key) != kGatewayKeys.end() ||
         (key == "fallbacks" && api == Api::Messages);
}

/// What the API cannot do without; "": nothing.
std::string_view required_key(Api api) {
  switch (api) {
    case Api::Chat:
    case Api::Messages:
      return "messages";
    case Api::Completions:
      return "prompt";
    case Api::Embeddings:
      return "input";
    case Api::Responses:
      return {};  // A stored prompt or an earlier response may stand for the input.
  }
  std::unreachable();
}

bool is_output_limit(std::string_view key) {
  return key == "max_completion_tokens" || key == "max_tokens" || key == "max_output_tokens";
}

/// For an error text: keys come from outside and may be anything.
std::string printable_key(std::string_view key) {
  constexpr std::size_t kShownMax = 64;
  return json_string(key.substr(0, kShownMax));
}

}  // namespace

std::vector<std::string> RequestFields::requested_models() const {
  std::vector<std::string> all;
  if (!model.empty()) all.push_back(model);
  all.insert(all.end(), models.begin(), models.end());
  return all;
}

class RequestBody::Parser {
 public:
  explicit Parser(RequestBody& request) : request_(request), json_(request.body_) {}

  Result<void> run();

 private:
  void member(const JsonMember& member);
  void routing_value(std::string_view key);
  void model();
  void models();
  void fallbacks();
  void stream_options();
  void provider();
  void plugins();
  void debug();
  [[nodiscard]] bool flag(std::string_view key);
  Result<void> check_keys();

  /// The first problem is the one that is told.
  void refuse(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

  /// False for null, which is read: it means "not given".
  bool is_given() {
    if (json_.kind() != JsonKind::Null) return true;
    json_.skip();
    return false;
  }

  RequestBody& request_;
  RequestFields& fields_ = request_.fields_;
  JsonReader json_;
  std::string problem_;
  std::vector<std::string> keys_;
  bool keeps_one_ = false;
  bool has_models_ = false;
  bool has_fallbacks_ = false;
};

Result<void> RequestBody::Parser::run() {
  const std::size_t begin = json_.position();
  const JsonKind kind = json_.kind();
  if (kind == JsonKind::Object) {
    json_.object([this](const JsonMember& each) { member(each); });
    request_.object_ = {begin, json_.value_end()};
  } else {
    json_.skip();
  }
  if (begin == request_.body_.size()) {
    return fail(Code::InvalidArgument, "the request body is empty");
  }
  if (!json_.finish()) {
    return fail(Code::InvalidArgument, "the request body is not valid JSON: " + json_.error_text());
  }
  if (kind != JsonKind::Object) {
    return fail(Code::InvalidArgument, "the request body must be a JSON object");
  }
  GANTRY_CHECK(check_keys());
  if (!problem_.empty()) return fail(Code::InvalidArgument, problem_);
  if (has_fallbacks_ && has_models_) {
    return fail(Code::InvalidArgument, "fallbacks: not together with models");
  }
  if (fields_.model.empty() && (fields_.models.empty() || has_fallbacks_)) {
    return fail(Code::InvalidArgument, "model: required, or models");
  }
  return {};
}

Result<void> RequestBody::Parser::check_keys() {
  if (keys_.size() > kMembersMax) {
    return fail(Code::InvalidArgument,
                fmt::format("the request body: at most {} members", kMembersMax));
  }
  std::ranges::sort(keys_);
  if (const auto twice = std::ranges::adjacent_find(keys_); twice != keys_.end()) {
    return fail(Code::InvalidArgument,
                fmt::format("the request body: key {} is there twice", printable_key(*twice)));
  }
  const std::string_view required = required_key(request_.api_);
  if (!required.empty() && !std::ranges::binary_search(keys_, required)) {
    return fail(Code::InvalidArgument, fmt::format("{}: required", required));
  }
  return {};
}

void RequestBody::Parser::member(const JsonMember& member) {
  // One above the limit is enough to refuse it.
  const bool is_counted = keys_.size() <= kMembersMax;
  const bool is_removed = is_gateway_key(member.key, request_.api_);
  const std::string key(member.key);
  if (is_counted) keys_.push_back(key);
  const std::size_t value_begin = json_.position();
  routing_value(key);
  if (json_.value_end() == value_begin) json_.skip();
  if (json_.has_failed() || !is_counted) return;
  if (is_removed) {
    request_.removals_.push_back(
        member_range(request_.body_, member, json_.value_end(),
                     keeps_one_ ? EarlierMembers::SomeKept : EarlierMembers::AllRemoved));
  } else {
    keeps_one_ = true;
    fields_.passed_keys.push_back(key);
  }
}

void RequestBody::Parser::routing_value(std::string_view key) {
  if (key == "model") return model();
  if (key == "models") return models();
  if (key == "fallbacks" && request_.api_ == Api::Messages) return fallbacks();
  if (key == "stream_options") return stream_options();
  if (key == "provider") return provider();
  if (key == "plugins") return plugins();
  if (key == "debug") return debug();
  if (key == "stream") {
    fields_.is_stream = flag(key);
  } else if (key == "prompt_cache_key") {
    json_.append_string(fields_.prompt_cache_key);
  } else if (is_output_limit(key)) {
    // A provider judges what is no number; the larger of two is what may have to be paid.
    const auto limit = json_.integer();
    if (limit && *limit >= 0) {
      fields_.output_tokens_max = std::max(*limit, fields_.output_tokens_max.value_or(0));
    }
  }
}

bool RequestBody::Parser::flag(std::string_view key) {
  if (!is_given()) return false;
  const auto value = json_.boolean();
  if (!value) refuse(fmt::format("{}: must be true or false", key));
  return value.value_or(false);
}

void RequestBody::Parser::model() {
  const std::size_t begin = json_.position();
  if (is_given()) {
    if (!json_.append_string(fields_.model)) {
      refuse("model: must be a string");
    } else if (fields_.model.empty()) {
      refuse("model: must not be empty");
    }
  }
  request_.model_ = ByteRange{begin, json_.value_end()};
}

void RequestBody::Parser::models() {
  if (!is_given()) return;
  if (json_.kind() != JsonKind::Array) return refuse("models: must be a list of strings");
  has_models_ = true;
  std::size_t count = 0;
  json_.array([&] {
    auto model = json_.string();
    if (!model || model->empty()) return refuse("models: must be a list of strings");
    if (++count > kModelsMax) return refuse(fmt::format("models: at most {}", kModelsMax));
    fields_.models.push_back(*std::move(model));
  });
}

void RequestBody::Parser::fallbacks() {
  if (!is_given()) return;
  constexpr std::string_view kShape = "fallbacks: must be a list of objects with only a model";
  if (json_.kind() != JsonKind::Array) return refuse(std::string(kShape));
  has_fallbacks_ = true;
  std::size_t count = 0;
  json_.array([&] {
    std::size_t members = 0;
    std::optional<std::string> model;
    json_.object([&](const JsonMember& each) {
      ++members;
      if (each.key == "model") model = json_.string();
    });
    if (members != 1 || !model || model->empty()) return refuse(std::string(kShape));
    if (++count > kAnthropicFallbacksMax) {
      return refuse(fmt::format("fallbacks: at most {}", kAnthropicFallbacksMax));
    }
    fields_.models.push_back(*std::move(model));
  });
}

void RequestBody::Parser::stream_options() {
  StreamOptions options{.range = {json_.position(), 0}};
  if (is_given()) {
    options.is_object = json_.kind() == JsonKind::Object;
    if (!options.is_object) refuse("stream_options: must be an object");
    json_.object([&](const JsonMember& each) {
      options.is_empty = false;
      if (each.key != "include_usage") return;
      if (options.include_usage) refuse("stream_options: include_usage is there twice");
      const std::size_t begin = json_.position();
      fields_.wants_usage = flag("stream_options.include_usage");
      options.include_usage = ByteRange{begin, json_.value_end()};
    });
  }
  options.range.end = json_.value_end();
  request_.stream_options_ = options;
}

void RequestBody::Parser::provider() {
  if (!is_given()) return;
  if (json_.kind() != JsonKind::Object) return refuse("provider: must be an object");
  fields_.provider = json_.skip().of(request_.body_);
}

void RequestBody::Parser::plugins() {
  if (!is_given()) return;
  if (json_.kind() != JsonKind::Array) return refuse("plugins: must be a list");
  json_.array([&] { refuse("plugins: not supported"); });
}

void RequestBody::Parser::debug() {
  if (!is_given()) return;
  if (json_.kind() != JsonKind::Object) return refuse("debug: must be an object");
  json_.object([&](const JsonMember& each) {
    if (each.key == "echo_upstream_body") {
      fields_.echoes_upstream_body = flag("debug.echo_upstream_body");
    }
  });
}

Result<RequestBody> RequestBody::parse(std::string_view body, Api api) {
  RequestBody request(body, api);
  GANTRY_CHECK(Parser(request).run());
  return request;
}

ByteEdits RequestBody::edits(const UpstreamShape& upstream) const {
  ByteEdits edits;
  const bool removes = upstream.fields == GatewayFields::Remove;
  if (removes) {
    for (const ByteRange& range : removals_) edits.remove(range);
  }
  std::string model = json_string(upstream.model);
  if (model_) {
    edits.replace(*model_, std::move(model));
  } else {
    const bool is_alone = removes && fields_.passed_keys.empty();
    edits.insert(object_.begin + 1, "\"model\":" + model + (is_alone ? "" : ","));
  }
  const bool can_ask = api_ == Api::Chat || api_ == Api::Completions;
  if (upstream.usage == StreamUsage::Ask && can_ask && fields_.is_stream) {
    if (!stream_options_) {
      edits.insert(object_.end - 1, R"(,"stream_options":{"include_usage":true})");
    } else if (!stream_options_->is_object) {
      edits.replace(stream_options_->range, R"({"include_usage":true})");
    } else if (stream_options_->include_usage) {
      edits.replace(*stream_options_->include_usage, "true");
    } else {
      const std::string_view comma = stream_options_->is_empty ? "" : ",";
      edits.insert(stream_options_->range.end - 1, std::string(comma) + R"("include_usage":true)");
    }
  }
  return edits;
}

std::string RequestBody::splice(const UpstreamShape& upstream) const {
  std::string out;
  out.reserve(body_.size() + upstream.model.size() + 64);
  edits(upstream).apply(body_, out);
  return out;
}

}  // namespace gantry::gateway
