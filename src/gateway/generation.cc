#include "gateway/generation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "gateway/price_names_internal.h"

namespace gantry::gateway {
namespace {

constexpr int kDecimals = 12;
constexpr std::int64_t kPicoPerUsd = 1'000'000'000'000;
constexpr std::int64_t kUsdMax = 1'000'000;
constexpr std::int64_t kPicoMax = std::numeric_limits<std::int64_t>::max();

std::unexpected<Error> bad_price(std::string_view text, std::string_view why) {
  return fail(Code::InvalidArgument, fmt::format("price \"{}\": {}", text, why));
}

/// Both are not negative.
std::int64_t add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kPicoMax : sum;
}

std::int64_t price_of(std::int64_t tokens, PicoUsd price) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(tokens, price.value, &product) ? kPicoMax : product;
}

std::int64_t count_of(const std::optional<std::int64_t>& tokens) {
  return std::max<std::int64_t>(tokens.value_or(0), 0);
}

/// As many of `rest` as are reported; they are no longer in it.
std::int64_t take(const std::optional<std::int64_t>& tokens, std::int64_t& rest) {
  const std::int64_t taken = std::min(count_of(tokens), rest);
  rest -= taken;
  return taken;
}

/// Of one call's input, by what they are charged; no token is in two of them.
struct InputParts {
  std::int64_t plain = 0;
  std::int64_t audio = 0;
  std::int64_t cached = 0;
  std::int64_t written = 0;     ///< For a few minutes.
  std::int64_t written_1h = 0;  ///< For an hour.
};

InputParts split_input(const Usage& usage, const Prices& prices, std::int64_t images) {
  InputParts parts{.cached = count_of(usage.cached), .written = count_of(usage.cache_write)};
  parts.plain = std::max<std::int64_t>(count_of(usage.input) - add(parts.cached, parts.written), 0);
  parts.written_1h = take(usage.cache_write_1h, parts.written);
  parts.audio = take(usage.input_audio, parts.plain);
  // Paid for with the images.
  if (prices.image && images > 0) static_cast<void>(take(usage.input_image, parts.plain));
  return parts;
}

std::int64_t cost_of_cache(const InputParts& input, const Prices& prices) {
  const PicoUsd write_price = prices.cache_write.value_or(prices.input);
  return add(price_of(input.cached, prices.cache_read.value_or(prices.input)),
             add(price_of(input.written, write_price),
                 price_of(input.written_1h, prices.cache_write_1h.value_or(write_price))));
}

std::int64_t cost_of_output(const Usage& usage, const Prices& prices) {
  std::int64_t plain = count_of(usage.output);
  const std::int64_t reasoning = take(usage.reasoning, plain);
  const std::int64_t audio = take(usage.output_audio, plain);
  return add(price_of(plain, prices.output),
             add(price_of(reasoning, prices.reasoning.value_or(prices.output)),
                 price_of(audio, prices.audio_output.value_or(prices.output))));
}

}  // namespace

double PicoUsd::to_double() const {
  // A division would round twice above 2^53.
  const std::string text = fmt::format("{}e-{}", value, kDecimals);
  double usd = 0;
  std::from_chars(text.data(), text.data() + text.size(), usd);
  return usd;
}

Result<PicoUsd> parse_usd(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view decimals =
      point == std::string_view::npos ? std::string_view("0") : text.substr(point + 1);
  if (whole.empty() || decimals.empty() ||
      whole.find_first_not_of(kDigits) != std::string_view::npos ||
      decimals.find_first_not_of(kDigits) != std::string_view::npos) {
    return bad_price(text, "not a decimal number of USD, as in \"0.0000025\"");
  }
  if (decimals.size() > kDecimals) return bad_price(text, "more than 12 decimals");

  std::int64_t usd = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), usd);
  std::int64_t pico = 0;
  for (std::size_t i = 0; i < kDecimals; ++i) {
    pico = pico * 10 + (i < decimals.size() ? decimals[i] - '0' : 0);
  }
  if (error != std::errc() || usd > kUsdMax || (usd == kUsdMax && pico > 0)) {
    return bad_price(text, "above 1,000,000 USD");
  }
  return PicoUsd{usd * kPicoPerUsd + pico};
}

std::string format_usd(PicoUsd price) {
  std::string text =
      fmt::format("{}.{:0{}}", price.value / kPicoPerUsd, price.value % kPicoPerUsd, kDecimals);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::optional<PicoUsd> round_usd(double usd) {
  if (!(usd >= 0 && usd <= static_cast<double>(kUsdMax))) return std::nullopt;
  return PicoUsd{std::llround(usd * static_cast<double>(kPicoPerUsd))};
}

Prices Prices::at(std::int64_t input_tokens) const {
  Prices flat = *this;
  flat.tiers.clear();
  for (const PriceTier& tier : tiers) {
    if (input_tokens <= tier.above_tokens) break;
    flat.input = tier.input.value_or(flat.input);
    flat.output = tier.output.value_or(flat.output);
    for (const PriceName& name : kPriceNames) {
      if (name.of_tier != nullptr && tier.*name.of_tier) flat.*name.price = tier.*name.of_tier;
    }
  }
  return flat;
}

Cost compute_cost(const Usage& usage, const Prices& prices, std::int64_t images) {
  if (!prices.tiers.empty()) return compute_cost(usage, prices.at(usage.input), images);
  const InputParts input = split_input(usage, prices, images);
  const std::int64_t cache = cost_of_cache(input, prices);
  const std::int64_t media =
      add(price_of(input.audio, prices.audio.value_or(prices.input)),
          price_of(std::max<std::int64_t>(images, 0), prices.image.value_or(PicoUsd{})));

  Cost cost;
  cost.input = PicoUsd{add(add(price_of(input.plain, prices.input), cache), media)};
  cost.output = PicoUsd{cost_of_output(usage, prices)};
  cost.total = PicoUsd{add(add(cost.input->value, cost.output->value), prices.request.value)};
  if (usage.cached || usage.cache_write) {
    const std::int64_t tokens = add(input.cached, add(input.written, input.written_1h));
    cost.cache_discount = PicoUsd{price_of(tokens, prices.input) - cache};
  }
  return cost;
}

std::optional<Cost> charge(const Usage& usage, const Pricing& pricing,
                           std::optional<PicoUsd> reported) {
  Cost cost;
  if (pricing.trusts_upstream_cost && reported) {
    cost.total = *reported;
  } else if (pricing.prices) {
    cost = compute_cost(usage, *pricing.prices, pricing.images);
  } else {
    return std::nullopt;
  }
  cost.upstream = reported;
  return cost;
}

void add_cost(std::optional<PicoUsd> reported, Generation& generation) {
  std::optional<Prices>& prices = generation.pricing.prices;
  if (prices) prices = prices->at(generation.usage->input);
  generation.cost = charge(*generation.usage, generation.pricing, reported);
}

}  // namespace gantry::gateway
