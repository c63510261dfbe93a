#include "gateway/gateway_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/byte_size.h"
#include "core/duration.h"
#include "core/rfc3339.h"
#include "gateway/gateway_setting_list.h"
#include "gateway/price_names_internal.h"

namespace gantry::gateway {
namespace {

using Kind = SettingNode::Kind;

template <class Value>
struct Word {
  std::string_view text;
  Value value;
};

constexpr std::array kProviderTypes = {
    Word{"openai", ProviderType::OpenAi}, Word{"anthropic", ProviderType::Anthropic},
    Word{"azure-openai", ProviderType::AzureOpenAi}, Word{"gemini", ProviderType::Gemini}};
constexpr std::array kStreamUsages = {Word{"request", StreamUsageSupport::Request},
                                      Word{"native", StreamUsageSupport::Native},
                                      Word{"none", StreamUsageSupport::None}};
constexpr std::array kConventions = {Word{"stable-1.41", SemanticConventions::Stable141},
                                     Word{"latest", SemanticConventions::Latest},
                                     Word{"both", SemanticConventions::Both}};
constexpr std::array kEncodings = {Word{"o200k_base", Encoding::O200kBase},
                                   Word{"cl100k_base", Encoding::Cl100kBase}};
constexpr std::array kSwitches = {Word{"true", true}, Word{"false", false}};
constexpr std::array kDetails = {Word{"true", AnswerDetails::Shown},
                                 Word{"false", AnswerDetails::Hidden}};

/// Reads the section. The first error stops everything.
class SettingsReader {
 public:
  Result<GatewaySettings> run(const SettingNode& section) {
    map(section, "gateway",
        [&](std::string_view key, const SettingNode& value, const std::string& path) {
          // What is not in the list would be neither printed nor documented.
          const bool is_list = key == "providers" || key == "models" || key == "tokenizers";
          const bool is_listed =
              is_list || std::ranges::count(gateway_setting_list(), key, &GatewaySetting::key) > 0;
          return is_listed && (gateway_member(key, value, path) || call_member(key, value, path));
        });
    settings_.trace.metadata_namespace = settings_.options.calls.metadata_namespace;
    if (settings_.options.calls_max == 0) {
      refuse(section, "gateway.max_concurrent", "must be above 0");
    }
    if (error_) return std::unexpected(*std::move(error_));
    if (const auto problems = find_problems(settings_.catalogue); !problems.empty())
      return fail(Code::InvalidArgument, fmt::format("{}", fmt::join(problems, "\n")));
    return std::move(settings_);
  }

 private:
  void refuse(const SettingNode& node, std::string_view path, std::string_view why) {
    if (error_) return;
    const std::string_view gap = node.place.empty() ? "" : ": ";
    error_ = Error{.code = Code::InvalidArgument,
                   .message = fmt::format("{}{}{}: {}", node.place, gap, path, why)};
  }

  /// `member(key, value, path)` says whether it knows the key.
  template <class Member>
  void map(const SettingNode& node, const std::string& path, Member member) {
    if (node.kind != Kind::Map) return refuse(node, path, "must be a map");
    std::set<std::string_view> seen;
    for (const SettingNode& value : node.items) {
      const std::string full = fmt::format("{}.{}", path, value.key);
      if (!seen.insert(value.key).second) return refuse(value, full, "is there twice");
      if (!member(std::string_view(value.key), value, full)) refuse(value, full, "unknown key");
      if (error_) return;
    }
  }

  template <class Item>
  void list(const SettingNode& node, const std::string& path, Item item) {
    if (node.kind != Kind::List) return refuse(node, path, "must be a list");
    for (std::size_t i = 0; i < node.items.size() && !error_; ++i) {
      item(node.items[i], fmt::format("{}[{}]", path, i));
    }
  }

  std::string_view scalar(const SettingNode& node, const std::string& path) {
    if (node.kind != Kind::Scalar) refuse(node, path, "must be a single value");
    return node.text;
  }

  bool text(const SettingNode& node, const std::string& path, std::string& out) {
    out = scalar(node, path);
    return true;
  }

  bool texts(const SettingNode& node, const std::string& path, std::vector<std::string>& out) {
    out.clear();
    list(node, path, [&](const SettingNode& item, const std::string& item_path) {
      out.emplace_back(scalar(item, item_path));
    });
    return true;
  }

  template <class Words, class Value>
  bool choice(const SettingNode& node, const std::string& path, const Words& words, Value& out) {
    const std::string_view given = scalar(node, path);
    const auto found = std::ranges::find(words, given, [](const auto& word) { return word.text; });
    if (found != words.end()) {
      out = found->value;
    } else {
      std::string known;
      for (const auto& word : words)
        known += fmt::format("{}{}", known.empty() ? "" : ", ", word.text);
      refuse(node, path, fmt::format("\"{}\" is not one of {}", given, known));
    }
    return true;
  }

  template <std::integral Count>
  bool count(const SettingNode& node, const std::string& path, Count& out) {
    const std::string_view given = scalar(node, path);
    Count value = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
    if (error != std::errc() || end != given.data() + given.size() || std::cmp_less(value, 0)) {
      refuse(node, path, fmt::format("\"{}\" is not a whole number in its range", given));
    }
    out = value;
    return true;
  }

  bool count(const SettingNode& node, const std::string& path, std::optional<std::int64_t>& out) {
    return count(node, path, out.emplace());
  }

  bool duration(const SettingNode& node, const std::string& path, DurationMs& out) {
    const auto parsed = core::parse_duration(scalar(node, path));
    if (parsed && parsed->count > 0) {
      out = *parsed;
    } else {
      refuse(node, path, fmt::format("\"{}\" is not a duration such as 30s", node.text));
    }
    return true;
  }

  template <class Bytes>
  bool bytes(const SettingNode& node, const std::string& path, Bytes& out) {
    const auto parsed = core::parse_byte_size(scalar(node, path));
    if (parsed) {
      out = *parsed;
    } else {
      refuse(node, path, fmt::format("\"{}\" is not a size such as 32MiB", node.text));
    }
    return true;
  }

  PicoUsd usd(const SettingNode& node, const std::string& path) {
    const auto parsed = parse_usd(scalar(node, path));
    if (!parsed) refuse(node, path, parsed.error().message);
    return parsed.value_or(PicoUsd{});
  }

  bool day(const SettingNode& node, const std::string& path, std::optional<TimestampMs>& out) {
    constexpr std::size_t kDayBytes = 10;
    const std::string_view given = scalar(node, path);
    if (given.size() == kDayBytes) out = core::parse_rfc3339(std::string(given) + "T00:00:00Z");
    if (!out) refuse(node, path, fmt::format("\"{}\" is not a day such as 2026-01-31", given));
    return true;
  }

  bool price(const SettingNode& node, const std::string& path, std::optional<PicoUsd>& out) {
    out = usd(node, path);
    return true;
  }

  bool gateway_member(std::string_view key, const SettingNode& value, const std::string& path) {
    GatewayOptions& options = settings_.options;
    TraceOptions& trace = settings_.trace;
    if (key == "enabled") return choice(value, path, kSwitches, settings_.is_enabled);
    if (key == "service_name") return text(value, path, trace.service_name);
    if (key == "trace_id_resource_key") return text(value, path, trace.trace_id_resource_key);
    if (key == "default_trace_name") return text(value, path, trace.default_trace_name);
    if (key == "default_generation_name") return text(value, path, trace.default_generation_name);
    if (key == "io_logging") return choice(value, path, kSwitches, settings_.keeps_content);
    if (key == "semconv") return choice(value, path, kConventions, settings_.conventions);
    if (key == "max_concurrent") return count(value, path, options.calls_max);
    if (key == "max_queue") return count(value, path, options.queue_max);
    if (key == "body_bytes_max") return bytes(value, path, options.body_bytes_max);
    if (key == "forward_trace_context")
      return choice(value, path, kSwitches, settings_.catalogue.forwards_trace_context);
    if (key == "prices_as_of") return day(value, path, settings_.catalogue.prices_as_of);
    if (key == "allow_unlisted")
      return choice(value, path, kSwitches, settings_.catalogue.allows_unlisted);
    if (key == "providers") {
      list(value, path, [&](const SettingNode& item, const std::string& item_path) {
        read_provider(item, item_path, settings_.catalogue.providers.emplace_back());
      });
      return true;
    }
    if (key == "tokenizers") {
      list(value, path, [&](const SettingNode& item, const std::string& item_path) {
        read_tokenizer(item, item_path, settings_.catalogue.tokenizers.emplace_back());
      });
      return true;
    }
    if (key != "models") return false;
    list(value, path, [&](const SettingNode& item, const std::string& item_path) {
      read_model(item, item_path, settings_.catalogue.models.emplace_back());
    });
    return true;
  }

  bool call_member(std::string_view key, const SettingNode& value, const std::string& path) {
    CallOptions& calls = settings_.options.calls;
    if (key == "metadata_namespace") return text(value, path, calls.metadata_namespace);
    if (key == "always_include_usage")
      return choice(value, path, kSwitches, calls.always_includes_usage);
    if (key == "require_price") return choice(value, path, kSwitches, calls.requires_price);
    if (key == "overhead_header") return choice(value, path, kDetails, calls.overhead);
    if (key == "provider_header") return choice(value, path, kDetails, calls.provider);
    if (key == "deadline") return duration(value, path, calls.deadline);
    if (key == "queue_wait_max") return duration(value, path, calls.queue_wait_max);
    if (key == "keep_alive") return duration(value, path, calls.keep_alive);
    if (key == "write_timeout") return duration(value, path, calls.write_timeout);
    if (key == "answer_bytes_max") return bytes(value, path, calls.answer_bytes_max);
    if (key == "max_retries") return count(value, path, calls.attempts.max_retries);
    return false;
  }

  void read_provider(const SettingNode& node, const std::string& at, Provider& out) {
    map(node, at, [&](std::string_view key, const SettingNode& value, const std::string& path) {
      if (key == "slug") return text(value, path, out.slug);
      if (key == "name") return text(value, path, out.name);
      if (key == "type") return choice(value, path, kProviderTypes, out.type);
      if (key == "base_url") return text(value, path, out.base_url);
      if (key == "stream_usage") return choice(value, path, kStreamUsages, out.stream_usage);
      if (key == "max_concurrent") return count(value, path, out.max_concurrent);
      if (key == "responses") return choice(value, path, kSwitches, out.has_responses_api);
      if (key == "trust_upstream_cost")
        return choice(value, path, kSwitches, out.trusts_upstream_cost);
      if (key == "gateway") return choice(value, path, kSwitches, out.is_gateway);
      if (key == "api_version") return text(value, path, out.api_version);
      if (key == "forward_headers") return texts(value, path, out.forward_headers.emplace());
      if (key == "keys") return read_keys(value, path, out.keys);
      if (key == "timeouts") return read_timeouts(value, path, out.timeouts);
      if (key != "headers") return false;
      map(value, path,
          [&](std::string_view name, const SettingNode& header, const std::string& header_path) {
            out.headers.emplace_back(name, scalar(header, header_path));
            return true;
          });
      return true;
    });
  }

  bool read_keys(const SettingNode& node, const std::string& at, std::vector<ProviderKey>& out) {
    list(node, at, [&](const SettingNode& item, const std::string& item_path) {
      ProviderKey& key_of_provider = out.emplace_back();
      map(item, item_path,
          [&](std::string_view key, const SettingNode& value, const std::string& path) {
            if (key == "secret") return text(value, path, key_of_provider.secret_reference);
            return key == "weight" && count(value, path, key_of_provider.weight);
          });
    });
    return true;
  }

  bool read_timeouts(const SettingNode& node, const std::string& at, ProviderTimeouts& out) {
    map(node, at, [&](std::string_view key, const SettingNode& value, const std::string& path) {
      if (key == "connect") return duration(value, path, out.connect);
      if (key == "headers") return duration(value, path, out.headers);
      if (key == "idle") return duration(value, path, out.idle);
      return key == "total" && duration(value, path, out.total);
    });
    return true;
  }

  bool read_prices(const SettingNode& node, const std::string& at, std::optional<Prices>& out) {
    Prices prices{};
    map(node, at, [&](std::string_view key, const SettingNode& value, const std::string& path) {
      if (key == "prompt") {
        prices.input = usd(value, path);
      } else if (key == "completion") {
        prices.output = usd(value, path);
      } else if (key == "request") {
        prices.request = usd(value, path);
      } else if (key == "overrides") {
        read_tiers(value, path, prices.tiers);
      } else {
        const auto* const name = std::ranges::find(kPriceNames, key, &PriceName::name);
        return name != kPriceNames.end() && price(value, path, prices.*name->price);
      }
      return true;
    });
    out = prices;
    return true;
  }

  void read_tiers(const SettingNode& node, const std::string& at, std::vector<PriceTier>& out) {
    list(node, at, [&](const SettingNode& item, const std::string& item_path) {
      PriceTier& tier = out.emplace_back();
      map(item, item_path,
          [&](std::string_view key, const SettingNode& value, const std::string& path) {
            if (key == "above_tokens") return count(value, path, tier.above_tokens);
            if (key == "prompt") return price(value, path, tier.input);
            if (key == "completion") return price(value, path, tier.output);
            const auto* const name = std::ranges::find(kPriceNames, key, &PriceName::name);
            return name != kPriceNames.end() && name->of_tier != nullptr &&
                   price(value, path, tier.*name->of_tier);
          });
    });
  }

  void read_model(const SettingNode& node, const std::string& at, ModelConfig& out) {
    map(node, at, [&](std::string_view key, const SettingNode& value, const std::string& path) {
      if (key == "id") return text(value, path, out.id);
      if (key == "aliases") return texts(value, path, out.aliases);
      if (key == "name") return text(value, path, out.name);
      if (key == "description") return text(value, path, out.description);
      if (key == "created") return count(value, path, out.created_unix_s);
      if (key == "pricing") return read_prices(value, path, out.prices);
      if (key == "context_length") return count(value, path, out.context_length);
      if (key == "max_completion_tokens") return count(value, path, out.output_tokens_max);
      if (key == "input_modalities") return texts(value, path, out.input_modalities);
      if (key == "output_modalities") return texts(value, path, out.output_modalities);
      if (key == "tokenizer") return text(value, path, out.tokenizer);
      if (key == "instruct_type") return text(value, path, out.instruct_type);
      if (key == "supported_parameters") return texts(value, path, out.supported_parameters);
      if (key == "knowledge_cutoff") return text(value, path, out.knowledge_cutoff);
      if (key == "expiration_date") return text(value, path, out.expiration_date);
      if (key != "endpoints") return false;
      list(value, path, [&](const SettingNode& item, const std::string& item_path) {
        read_endpoint(item, item_path, out.endpoints.emplace_back());
      });
      return true;
    });
  }

  void read_endpoint(const SettingNode& node, const std::string& at, EndpointConfig& out) {
    map(node, at, [&](std::string_view key, const SettingNode& value, const std::string& path) {
      if (key == "provider") return text(value, path, out.provider);
      if (key == "variant") return text(value, path, out.variant);
      if (key == "model") return text(value, path, out.model);
      if (key == "pricing") return read_prices(value, path, out.prices);
      if (key == "context_length") return count(value, path, out.context_length);
      if (key == "max_completion_tokens") return count(value, path, out.output_tokens_max);
      if (key == "supported_parameters")
        return texts(value, path, out.supported_parameters.emplace());
      return key == "input_modalities" && texts(value, path, out.input_modalities.emplace());
    });
  }

  void read_tokenizer(const SettingNode& node, const std::string& at, TokenizerConfig& out) {
    map(node, at, [&](std::string_view key, const SettingNode& value, const std::string& path) {
      if (key == "encoding") return choice(value, path, kEncodings, out.encoding);
      if (key == "file") return text(value, path, out.file);
      return key == "models" && texts(value, path, out.models);
    });
  }

  GatewaySettings settings_;
  std::optional<Error> error_;
};

}  // namespace

Result<GatewaySettings> read_gateway_settings(const SettingNode& section) {
  return SettingsReader().run(section);
}

bool is_reloadable_setting(std::string_view key) {
  return key == "providers" || key == "models" || key == "tokenizers" || key == "allow_unlisted" ||
         key == "prices_as_of" || key == "forward_trace_context";
}

}  // namespace gantry::gateway
