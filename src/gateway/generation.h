#pragma once

// Everything that is known of one inference call when it is finished: the one source of its trace,
// its metrics and its record. Times are milliseconds after the moment the request was accepted, on
// one monotonic clock.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "gateway/chunk_times.h"

namespace gantry::gateway {

/// 10^-12 USD: prices per token and costs are exact in it.
struct PicoUsd {
  std::int64_t value = 0;

  friend auto operator<=>(const PicoUsd&, const PicoUsd&) = default;

  /// The double nearest to the decimal value.
  [[nodiscard]] double to_double() const;
};

/// A price as people write it: "0.0000025". Errors: InvalidArgument: not digits with at most one
/// point between them (no sign, no exponent), more than 12 decimals, or above 1,000,000.
[[nodiscard]] Result<PicoUsd> parse_usd(std::string_view text);

/// "0.0000025", "3": the shortest decimal text; parse_usd() gives the price back. Not negative.
[[nodiscard]] std::string format_usd(PicoUsd price);

/// A cost as providers report it, a JSON number: to the nearest 10^-12 USD. Nothing if it is
/// negative, not finite or above 1,000,000.
[[nodiscard]] std::optional<PicoUsd> round_usd(double usd);

/// For all tokens of a call whose input is longer than that. What is absent costs as it does below.
struct PriceTier {
  std::int64_t above_tokens = 0;
  std::optional<PicoUsd> input;
  std::optional<PicoUsd> output;
  std::optional<PicoUsd> cache_read;
  std::optional<PicoUsd> cache_write;
  std::optional<PicoUsd> cache_write_1h;
  std::optional<PicoUsd> audio;
  std::optional<PicoUsd> audio_output;
  std::optional<PicoUsd> reasoning;
};

/// Per token, apart from `request` and `image`. A missing price is that of all tokens of its side:
/// `input` or `output`; that of an hour's cache is `cache_write`.
struct Prices {
  PicoUsd input;
  PicoUsd output;
  std::optional<PicoUsd> cache_read;
  std::optional<PicoUsd> cache_write;
  PicoUsd request;                        ///< Per call.
  std::optional<PicoUsd> cache_write_1h;  ///< Written to a cache that lasts an hour.
  std::optional<PicoUsd> audio;           ///< Of the input.
  std::optional<PicoUsd> audio_output;
  std::optional<PicoUsd> reasoning;
  std::optional<PicoUsd> image;       ///< Per image in the prompt.
  std::vector<PriceTier> tiers = {};  ///< By above_tokens, ascending.

  /// Those of a call with that much input: without tiers.
  [[nodiscard]] Prices at(std::int64_t input_tokens) const;
};

/// Tokens, never negative. All but the total are parts of the input or of the output, as far as the
/// provider tells them apart; a token can be in two parts, cached and audio.
struct Usage {
  std::int64_t input = 0;
  std::int64_t output = 0;  ///< 0 for embeddings, which have none.
  std::int64_t total = 0;
  std::optional<std::int64_t> cached;
  std::optional<std::int64_t> cache_write;
  std::optional<std::int64_t> cache_write_5m;
  std::optional<std::int64_t> cache_write_1h;
  std::optional<std::int64_t> reasoning;
  std::optional<std::int64_t> input_audio;
  std::optional<std::int64_t> input_image;
  std::optional<std::int64_t> input_text;
  std::optional<std::int64_t> output_audio;
  std::optional<std::int64_t> output_image;
  std::optional<std::int64_t> output_text;
  bool is_estimated = false;  ///< Counted here, because the provider did not say.
};

struct Cost {
  std::optional<PicoUsd> input;  ///< Absent, as `output` is, when the provider's total is trusted.
  std::optional<PicoUsd> output;
  PicoUsd total;
  /// What the cache saved against the input price; negative when writing cost more. Absent when no
  /// cached or written tokens were reported.
  std::optional<PicoUsd> cache_discount;
  std::optional<PicoUsd> upstream;  ///< As the provider reported it.
};

/// In integers, without rounding; what does not fit stays at the largest PicoUsd (9.2 million USD).
/// Each token is charged once, by one price. The cache's come first: of cached tokens nobody says
/// whether they are audio, so they are taken for text as far as there is any. A provider that
/// reports more cached and written tokens than input is charged no other input.
///
/// `images`: in the prompt. Each costs `prices.image` beside the tokens; those that the usage calls
/// tokens of images then cost nothing more.
[[nodiscard]] Cost compute_cost(const Usage& usage, const Prices& prices, std::int64_t images = 0);

/// What a call to an endpoint is charged by.
struct Pricing {
  std::optional<Prices> prices;  ///< Nothing: unpriced.
  std::int64_t images = 0;       ///< In the call's prompt.
  /// The total is what the provider reports, if it does.
  bool trusts_upstream_cost = false;
};

/// Nothing: not known. `reported`: the provider's own word, kept beside what the call is charged.
[[nodiscard]] std::optional<Cost> charge(const Usage& usage, const Pricing& pricing,
                                         std::optional<PicoUsd> reported);

enum class Api : std::uint8_t { Chat, Completions, Embeddings, Responses, Messages };

/// One try at one provider.
struct Attempt {
  std::string provider_name;
  std::string provider_slug;
  std::string server_address;
  std::uint16_t server_port = 0;  ///< 0: unknown.
  std::string upstream_model;
  double sent_ms = 0;
  std::optional<double> headers_ms;
  std::optional<double> first_token_ms;  ///< Streams only.
  std::optional<double> body_end_ms;
  std::optional<double> failed_ms;  ///< When there were no headers.
  std::optional<int> status;        ///< Absent: no answer.
  bool is_ok = false;               ///< Its answer is the one that the client got.
  std::string error_type;           ///< "rate_limit_exceeded", …; empty when ok.
  std::string message;
};

/// A value of the request's `trace` object, flattened.
struct Metadata {
  enum class Kind : std::uint8_t { String, Bool, Int, Double };

  std::string key;  ///< Without "trace.metadata.".
  Kind kind = Kind::String;
  std::string text;
  bool boolean = false;
  std::int64_t integer = 0;
  double number = 0;

  friend bool operator==(const Metadata&, const Metadata&) = default;
};

/// What the request's `trace` object, headers and body say about where the call belongs. Empty
/// texts are absent ones.
struct TraceContext {
  std::string trace_id;  ///< As given, for derive_trace_id.
  std::string trace_name;
  std::string span_name;
  std::string generation_name;
  std::string parent_span_id;  ///< As given, for derive_parent_id.
  std::string session_id;
  std::string user_id;
  std::vector<Metadata> metadata;         ///< Keys are unique.
  std::vector<std::string> ignored_keys;  ///< Sorted, unique.
  std::uint64_t ignored_count = 0;        ///< May be more than the list names.
};

struct SamplingParameters {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::int64_t> top_k;
  std::optional<std::int64_t> max_tokens;
  std::optional<double> frequency_penalty;
  std::optional<double> presence_penalty;
  std::optional<std::int64_t> seed;
  std::optional<std::int64_t> choice_count;
  std::vector<std::string> stop;
};

/// What the content of a request has besides text.
struct InputMedia {
  /// Of "image", "audio", "video" and "file", each once, in the order in which they come first.
  std::vector<std::string> modalities;
  std::int64_t images = 0;
};

/// JSON of what was asked or answered; see content.h.
struct RecordedContent {
  std::string json;     ///< Empty: nothing was recorded.
  bool is_cut = false;  ///< Longer than kContentBytesMax; `json` then ends in the middle.
};

struct Generation {
  std::string id;  ///< gen-<unix seconds>-<20 alphanumerics>
  Api api = Api::Chat;
  std::int64_t start_unix_ns = 0;
  double end_ms = 0;

  std::string api_key_name;
  std::string api_key_hash;
  std::string creator_user_id;
  std::string workspace_id;
  std::string user_agent;
  std::string http_referer;
  std::string app_name;  ///< X-Title
  std::string origin;

  std::string requested_model;
  std::string served_model;  ///< Catalogue name; empty: none served.
  TraceContext context;
  SamplingParameters parameters;
  bool is_stream = false;
  std::int64_t tools_count = 0;
  InputMedia input_media;
  std::string output_type;  ///< That was asked for: "text", "json", "image" or "speech"; or empty.

  std::vector<Attempt> attempts;  ///< In the order they were sent; at least one.
  ChunkTimes chunk_times;         ///< Streams only.
  std::optional<Usage> usage;
  Pricing pricing;  ///< Of what served; once the cost is known, at the tier it falls under.
  std::optional<Cost> cost;
  std::string finish_reason;         ///< Of the first choice.
  std::string native_finish_reason;  ///< The provider's own word for it.
  std::vector<std::string> finish_reasons;
  std::int64_t tool_calls_count = 0;
  std::string upstream_id;

  RecordedContent prompt;      ///< {"messages":[…]}, {"prompt":…} or {"input":…}
  RecordedContent completion;  ///< {"completion":…,"reasoning":…,"toolCalls":[…]}

  bool is_ok = false;
  bool is_cancelled = false;  ///< The client left.
  std::string error_type;     ///< Empty when ok.
  std::string error_message;
};

/// From its usage, which is there, and its pricing. `reported`: as `charge`.
void add_cost(std::optional<PicoUsd> reported, Generation& generation);

}  // namespace gantry::gateway
