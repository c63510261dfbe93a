#include "gateway/usage_reader.h"

#include <string_view>

namespace gantry::gateway {
namespace {

using Count = std::optional<std::int64_t>;

/// Above any call's real count; sums of a few stay far from overflow.
constexpr std::int64_t kTokensMax = 1'000'000'000'000;

/// Leaves `count` as it was if the value is null or no count.
void read_count(JsonReader& json, Count& count) {
  const Count value = json.integer();
  if (value && *value >= 0 && *value <= kTokensMax) count = value;
}

struct OpenAiCounts {
  Count input;
  Count output;
  Count total;
  Count cached;
  Count cache_write;
  Count reasoning;
  std::optional<PicoUsd> cost;
};

void read_input_details(JsonReader& json, OpenAiCounts& counts) {
  json.object([&](const JsonMember& member) {
    if (member.key == "cached_tokens") {
      read_count(json, counts.cached);
    } else if (member.key == "cache_write_tokens" || member.key == "cache_creation_tokens") {
      read_count(json, counts.cache_write);
    }
  });
}

void read_output_details(JsonReader& json, OpenAiCounts& counts) {
  json.object([&](const JsonMember& member) {
    if (member.key == "reasoning_tokens") read_count(json, counts.reasoning);
  });
}

void read_member(JsonReader& json, std::string_view key, OpenAiCounts& counts) {
  if (key == "prompt_tokens" || key == "input_tokens") {
    read_count(json, counts.input);
  } else if (key == "completion_tokens" || key == "output_tokens") {
    read_count(json, counts.output);
  } else if (key == "total_tokens") {
    read_count(json, counts.total);
  } else if (key == "cost") {
    const std::optional<double> cost = json.number();
    counts.cost = cost ? round_usd(*cost) : std::nullopt;
  } else if (key == "prompt_cache_hit_tokens") {
    read_count(json, counts.cached);  // DeepSeek's older name.
  } else if (key == "prompt_tokens_details" || key == "input_tokens_details") {
    read_input_details(json, counts);
  } else if (key == "completion_tokens_details" || key == "output_tokens_details") {
    read_output_details(json, counts);
  }
}

}  // namespace

ReportedUsage read_openai_usage(JsonReader& json) {
  OpenAiCounts counts;
  json.object([&](const JsonMember& member) { read_member(json, member.key, counts); });
  if (!counts.input) return {.cost = counts.cost};
  Usage usage{.input = *counts.input,
              .output = counts.output.value_or(0),
              .cached = counts.cached,
              .cache_write = counts.cache_write,
              .reasoning = counts.reasoning};
  usage.total = counts.total.value_or(usage.input + usage.output);
  const std::int64_t unexplained = usage.total - usage.input - usage.output;
  if (unexplained > 0 && counts.reasoning == unexplained) usage.output += unexplained;
  return {.usage = usage, .cost = counts.cost};
}

void AnthropicUsage::read(JsonReader& json) {
  json.object([&](const JsonMember& member) {
    if (member.key == "input_tokens") {
      read_count(json, input_);
    } else if (member.key == "output_tokens") {
      read_count(json, output_);
    } else if (member.key == "cache_read_input_tokens") {
      read_count(json, cache_read_);
    } else if (member.key == "cache_creation_input_tokens") {
      read_count(json, cache_write_);
    } else if (member.key == "cache_creation") {
      json.object([&](const JsonMember& part) {
        if (part.key == "ephemeral_5m_input_tokens") read_count(json, cache_write_5m_);
        if (part.key == "ephemeral_1h_input_tokens") read_count(json, cache_write_1h_);
      });
    }
  });
}

std::optional<Usage> AnthropicUsage::usage() const {
  if (!input_ && !output_) return std::nullopt;
  Usage usage{.input = input_.value_or(0) + cache_read_.value_or(0) + cache_write_.value_or(0),
              .output = output_.value_or(0),
              .cached = cache_read_,
              .cache_write = cache_write_,
              .cache_write_5m = cache_write_5m_,
              .cache_write_1h = cache_write_1h_};
  usage.total = usage.input + usage.output;
  return usage;
}

}  // namespace gantry::gateway
