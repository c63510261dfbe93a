#pragma once

// A client's inference request: what routing needs of it, and the body for a provider, which is the
// client's own bytes but for the few members that must change. Number formats, key order, white
// space and fields that are unknown here stay as they came.
//
//   GANTRY_TRY(const RequestBody request, RequestBody::parse(body, Api::Chat));
//   … choose a provider by request.fields() …
//   const std::string upstream = request.splice({.model = "gpt-4o", .usage = StreamUsage::Ask});

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "gateway/byte_edits.h"
#include "gateway/generation.h"
#include "gateway/json_reader.h"

namespace gantry::gateway {

struct RequestFields {
  std::string model;                ///< "": none, then `models` has one.
  std::vector<std::string> models;  ///< Fallbacks in order; of Messages: its `fallbacks` too.
  bool is_stream = false;
  bool wants_usage = false;           ///< stream_options.include_usage
  bool echoes_upstream_body = false;  ///< debug.echo_upstream_body
  std::optional<std::int64_t> output_tokens_max;
  std::string prompt_cache_key;
  std::string_view provider;             ///< An object's JSON; "": absent. Into the body.
  std::vector<std::string> passed_keys;  ///< Members that go to the provider, in order.

  /// `model`, then `models`: at least one.
  [[nodiscard]] std::vector<std::string> requested_models() const;
};

enum class StreamUsage : bool { AsClientSaid, Ask };
enum class GatewayFields : bool { Remove, Keep };

struct UpstreamShape {
  std::string_view model;
  /// Ask: a stream's usage chunk is requested. For Chat and Completions only; the others report
  /// usage unasked.
  StreamUsage usage = StreamUsage::AsClientSaid;
  /// Keep: the provider is itself a gateway of this kind.
  GatewayFields fields = GatewayFields::Remove;
};

/// Holds a view of the body, which outlives it. Immutable.
class RequestBody {
 public:
  static constexpr std::size_t kMembersMax = 1024;
  static constexpr std::size_t kModelsMax = 32;
  static constexpr std::size_t kAnthropicFallbacksMax = 3;

  /// One pass. Errors: InvalidArgument, whose message names the field, or line and column:
  /// not JSON, not UTF-8, nested deeper than JsonReader::kDepthMax, a key that is there twice, a
  /// missing or mistyped field. `trace`, `session_id` and `user` are judged elsewhere.
  static Result<RequestBody> parse(std::string_view body, Api api);

  [[nodiscard]] const RequestFields& fields() const { return fields_; }

  /// The body for a provider.
  [[nodiscard]] std::string splice(const UpstreamShape& upstream) const;

  /// What `splice` changes.
  [[nodiscard]] ByteEdits edits(const UpstreamShape& upstream) const;

 private:
  class Parser;

  /// Where stream_options stands, if it does.
  struct StreamOptions {
    ByteRange range;
    bool is_object = false;
    bool is_empty = true;
    std::optional<ByteRange> include_usage;
  };

  RequestBody(std::string_view body, Api api) : body_(body), api_(api) {}

  std::string_view body_;
  Api api_;
  RequestFields fields_;
  ByteRange object_;  ///< With its braces.
  std::optional<ByteRange> model_;
  std::optional<StreamOptions> stream_options_;
  std::vector<ByteRange> removals_;
};

}  // namespace gantry::gateway
