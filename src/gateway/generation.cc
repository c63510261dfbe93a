#include "gateway/generation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

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
  Prices flat{.input = input,
              .output = output,
              .cache_read = cache_read,
              .cache_write = cache_write,
              .request = request};
  for (const PriceTier& tier : tiers) {
    if (input_tokens <= tier.above_tokens) break;
    flat.input = tier.input.value_or(flat.input);
    flat.output = tier.output.value_or(flat.output);
    if (tier.cache_read) flat.cache_read = tier.cache_read;
    if (tier.cache_write) flat.cache_write = tier.cache_write;
  }
  return flat;
}

Cost compute_cost(const Usage& usage, const Prices& prices) {
  if (!prices.tiers.empty()) return compute_cost(usage, prices.at(usage.input));
  const std::int64_t cached = count_of(usage.cached);
  const std::int64_t written = count_of(usage.cache_write);
  const std::int64_t plain =
      std::max<std::int64_t>(count_of(usage.input) - add(cached, written), 0);
  const PicoUsd read_price = prices.cache_read.value_or(prices.input);
  const PicoUsd write_price = prices.cache_write.value_or(prices.input);
  const std::int64_t cache = add(price_of(cached, read_price), price_of(written, write_price));

  Cost cost;
  cost.input = PicoUsd{add(price_of(plain, prices.input), cache)};
  cost.output = PicoUsd{price_of(count_of(usage.output), prices.output)};
  cost.total = PicoUsd{add(add(cost.input->value, cost.output->value), prices.request.value)};
  if (usage.cached || usage.cache_write) {
    cost.cache_discount = PicoUsd{price_of(add(cached, written), prices.input) - cache};
  }
  return cost;
}

std::optional<Cost> charge(const Usage& usage, const Pricing& pricing,
                           std::optional<PicoUsd> reported) {
  Cost cost;
  if (pricing.trusts_upstream_cost && reported) {
    cost.total = *reported;
  } else if (pricing.prices) {
    cost = compute_cost(usage, *pricing.prices);
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
