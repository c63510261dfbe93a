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

void read_cache_creation(JsonReader& json, CacheWrites& writes) {
  json.object([&](const JsonMember& part) {
    if (part.key == "ephemeral_5m_input_tokens") {
      read_count(json, writes.of_5m);
    } else if (part.key == "ephemeral_1h_input_tokens") {
      read_count(json, writes.of_1h);
    }
  });
}

/// The parts stand for a sum that is missing.
Count all_writes(const Count& reported, const CacheWrites& writes) {
  if (reported || (!writes.of_5m && !writes.of_1h)) return reported;
  return writes.of_5m.value_or(0) + writes.of_1h.value_or(0);
}

struct Modalities {
  Count text;
  Count audio;
  Count image;
};

void read_modality(JsonReader& json, std::string_view key, Modalities& modalities) {
  if (key == "text_tokens") {
    read_count(json, modalities.text);
  } else if (key == "audio_tokens") {
    read_count(json, modalities.audio);
  } else if (key == "image_tokens") {
    read_count(json, modalities.image);
  }
}

struct OpenAiCounts {
  Count input;
  Count output;
  Count total;
  Count cached;
  Count cache_write;
  CacheWrites cache_writes;
  Count reasoning;
  Modalities in;
  Modalities out;
  std::optional<PicoUsd> cost;
};

void read_input_details(JsonReader& json, OpenAiCounts& counts) {
  json.object([&](const JsonMember& member) {
    if (member.key == "cached_tokens") {
      read_count(json, counts.cached);
    } else if (member.key == "cache_write_tokens" || member.key == "cache_creation_tokens") {
      read_count(json, counts.cache_write);
    } else {
      read_modality(json, member.key, counts.in);
    }
  });
}

void read_output_details(JsonReader& json, OpenAiCounts& counts) {
  json.object([&](const JsonMember& member) {
    if (member.key == "reasoning_tokens") {
      read_count(json, counts.reasoning);
    } else {
      read_modality(json, member.key, counts.out);
    }
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
  } else if (key == "cache_creation") {
    read_cache_creation(json, counts.cache_writes);  // OpenRouter passes Anthropic's on.
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
              .cache_write = all_writes(counts.cache_write, counts.cache_writes),
              .cache_write_5m = counts.cache_writes.of_5m,
              .cache_write_1h = counts.cache_writes.of_1h,
              .reasoning = counts.reasoning,
              .input_audio = counts.in.audio,
              .input_image = counts.in.image,
              .input_text = counts.in.text,
              .output_audio = counts.out.audio,
              .output_image = counts.out.image,
              .output_text = counts.out.text};
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
      read_cache_creation(json, cache_writes_);
    }
  });
}

std::optional<Usage> AnthropicUsage::usage() const {
  if (!input_ && !output_) return std::nullopt;
  const std::optional<std::int64_t> written = all_writes(cache_write_, cache_writes_);
  Usage usage{.input = input_.value_or(0) + cache_read_.value_or(0) + written.value_or(0),
              .output = output_.value_or(0),
              .cached = cache_read_,
              .cache_write = written,
              .cache_write_5m = cache_writes_.of_5m,
              .cache_write_1h = cache_writes_.of_1h};
  usage.total = usage.input + usage.output;
  return usage;
}

}  // namespace gantry::gateway
