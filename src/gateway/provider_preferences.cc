#include "gateway/provider_preferences.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "gateway/json_reader.h"

namespace gantry::gateway {
namespace {

constexpr std::array<std::string_view, kPercentiles.size()> kPercentileNames = {"p50", "p75", "p90",
                                                                                "p99"};

std::optional<SortBy> find_sort(std::string_view word) {
  if (word == "price") return SortBy::Price;
  if (word == "throughput") return SortBy::Throughput;
  if (word == "latency") return SortBy::Latency;
  return std::nullopt;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : json_(text) {}

  Result<ProviderPreferences> run() {
    if (json_.kind() != JsonKind::Object)
      return fail(Code::InvalidArgument, "provider: must be an object");
    json_.object([&](const JsonMember& member) { read_member(std::string(member.key)); });
    if (!json_.finish()) return fail(Code::InvalidArgument, "provider: " + json_.error_text());
    if (!problem_.empty()) return fail(Code::InvalidArgument, problem_);
    return std::move(preferences_);
  }

 private:
  void read_member(const std::string& key) {
    if (json_.kind() == JsonKind::Null) return;
    if (key == "order") {
      read_list(key, preferences_.order);
    } else if (key == "only") {
      read_list(key, preferences_.only);
    } else if (key == "ignore") {
      read_list(key, preferences_.ignore);
    } else if (key == "allow_fallbacks") {
      read_flag(key, preferences_.allows_fallbacks);
    } else if (key == "require_parameters") {
      read_flag(key, preferences_.requires_parameters);
    } else if (key == "max_price") {
      read_max_price();
    } else if (key == "sort") {
      read_sort();
    } else if (key == "preferred_max_latency") {
      read_cutoffs(key, preferences_.latency_s_max);
    } else if (key == "preferred_min_throughput") {
      read_cutoffs(key, preferences_.tokens_per_second_min);
    } else {
      refuse_demand(key);
    }
  }

  void complain(std::string_view path, std::string_view why) {
    if (problem_.empty()) problem_ = fmt::format("provider.{}: {}", path, why);
  }

  void read_list(std::string_view key, std::vector<std::string>& list) {
    list.clear();
    const bool is_array = json_.array([&] {
      auto text = json_.string();
      if (!text || text->empty()) {
        complain(key, "must hold names of providers");
      } else if (list.size() == kPreferredProvidersMax) {
        complain(key, fmt::format("more than {} providers", kPreferredProvidersMax));
      } else {
        list.push_back(*std::move(text));
      }
    });
    if (!is_array) complain(key, "must be an array");
  }

  void read_flag(std::string_view key, bool& flag) {
    const auto value = json_.boolean();
    if (value) {
      flag = *value;
    } else {
      complain(key, "must be true or false");
    }
  }

  void read_max_price() {
    PriceCaps& caps = preferences_.max_price;
    const bool is_object = json_.object([&](const JsonMember& member) {
      if (json_.kind() == JsonKind::Null) return;
      if (member.key == "prompt") {
        caps.prompt = read_price("max_price.prompt", kMillionTokens);
      } else if (member.key == "completion") {
        caps.completion = read_price("max_price.completion", kMillionTokens);
      } else if (member.key == "request") {
        caps.request = read_price("max_price.request", 1);
      } else if (member.key == "image") {
        caps.image = read_price("max_price.image", 1);
      } else if (member.key == "audio") {
        caps.audio = read_price("max_price.audio", kMillionTokens);
      }
    });
    if (!is_object) complain("max_price", "must be an object");
  }

  /// USD for `units`, as a number or as a decimal string.
  std::optional<PicoUsd> read_price(std::string_view path, double units) {
    std::optional<double> usd;
    if (json_.kind() != JsonKind::String) {
      usd = json_.number();
    } else if (const auto text = json_.string()) {
      usd = decimal(*text);
    }
    const auto price = usd ? round_usd(*usd / units) : std::nullopt;
    if (!price) complain(path, "must be a price in USD");
    return price;
  }

  static std::optional<double> decimal(std::string_view text) {
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
    return value;
  }

  void read_sort() {
    if (json_.kind() != JsonKind::Object) {
      read_sort_word("sort");
      return;
    }
    json_.object([&](const JsonMember& member) {
      if (json_.kind() == JsonKind::Null) return;
      if (member.key == "by") {
        read_sort_word("sort.by");
      } else if (member.key == "partition") {
        const auto word = json_.string();
        if (word == "none") {
          preferences_.partition = SortPartition::None;
        } else if (word == "model") {
          preferences_.partition = SortPartition::PerModel;
        } else {
          complain("sort.partition", "must be model or none");
        }
      }
    });
  }

  void read_sort_word(std::string_view path) {
    const auto word = json_.string();
    preferences_.sort = word ? find_sort(*word) : std::nullopt;
    if (!preferences_.sort) complain(path, "must be price, throughput or latency");
  }

  /// A number is the median's.
  void read_cutoffs(std::string_view key, PaceCutoffs& cutoffs) {
    cutoffs = {};
    if (json_.kind() == JsonKind::Number) {
      cutoffs.front() = read_cutoff(key);
      return;
    }
    const bool is_object = json_.object([&](const JsonMember& member) {
      if (json_.kind() == JsonKind::Null) return;
      const auto name = std::ranges::find(kPercentileNames, member.key);
      if (name == kPercentileNames.end()) return;
      cutoffs.at(static_cast<std::size_t>(name - kPercentileNames.begin())) =
          read_cutoff(fmt::format("{}.{}", key, *name));
    });
    if (!is_object) complain(key, "must be a number, or an object of p50, p75, p90 and p99");
  }

  std::optional<double> read_cutoff(std::string_view path) {
    const auto value = json_.number();
    if (value && *value >= 0) return value;
    complain(path, "must be a number of at least 0");
    return std::nullopt;
  }

  void refuse_demand(std::string_view key) {
    constexpr std::string_view kUnknowable = "this gateway does not know that of its providers";
    if (key == "data_collection") {
      if (json_.string() != "allow") complain(key, kUnknowable);
    } else if (key == "zdr" || key == "enforce_distillable_text") {
      if (json_.boolean() != false) complain(key, kUnknowable);
    } else if (key == "quantizations") {
      bool is_empty = true;
      const bool is_array = json_.array([&] { is_empty = false; });
      if (!is_array || !is_empty) complain(key, kUnknowable);
    }
  }

  static constexpr double kMillionTokens = 1'000'000;

  JsonReader json_;
  ProviderPreferences preferences_;
  std::string problem_;
};

}  // namespace

Result<ProviderPreferences> parse_provider_preferences(std::string_view json) {
  if (json.empty()) return ProviderPreferences{};
  return Parser(json).run();
}

}  // namespace gantry::gateway
