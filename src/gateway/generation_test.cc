#include "gateway/generation.h"

#include <limits>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

namespace gantry::gateway {
namespace {

std::string parsed(std::string_view text) {
  const auto price = parse_usd(text);
  return price ? std::to_string(price->value) : price.error().message;
}

TEST(ParseUsdTest, ReadsDecimalsExactly) {
  EXPECT_EQ(parsed("0.0000025"), "2500000");
  EXPECT_EQ(parsed("0"), "0");
  EXPECT_EQ(parsed("0.000000000001"), "1");
  EXPECT_EQ(parsed("007.10"), "7100000000000");
  EXPECT_EQ(parsed("1000000"), "1000000000000000000");
  EXPECT_EQ(parsed("1000000.000000000000"), "1000000000000000000");
}

TEST(ParseUsdTest, ExplainsWhatIsNoPrice) {
  constexpr std::string_view kNotDecimal = ": not a decimal number of USD, as in \"0.0000025\"";
  for (const std::string_view text :
       {"", ".", "1.", ".5", "-1", "+1", "1e-6", "0x10", " 1", "1 ", "1,5", "1.2.3", "NaN"}) {
    EXPECT_EQ(parsed(text), fmt::format("price \"{}\"{}", text, kNotDecimal));
  }
  EXPECT_EQ(parsed("0.0000000000001"), "price \"0.0000000000001\": more than 12 decimals");
  EXPECT_EQ(parsed("1000000.000000000001"), "price \"1000000.000000000001\": above 1,000,000 USD");
  EXPECT_EQ(parsed("1000001"), "price \"1000001\": above 1,000,000 USD");
  EXPECT_EQ(parsed("99999999999999999999"), "price \"99999999999999999999\": above 1,000,000 USD");
}

TEST(PicoUsdTest, IsTheNearestDouble) {
  EXPECT_EQ(PicoUsd{142500000}.to_double(), 0.0001425);
  EXPECT_EQ(PicoUsd{-1}.to_double(), -1e-12);
  EXPECT_EQ(PicoUsd{}.to_double(), 0.0);
  EXPECT_EQ(PicoUsd{9007199254740993}.to_double(), 9007.199254740993);
}

TEST(PicoUsdTest, IsWrittenWithoutNeedlessDigits) {
  EXPECT_EQ(format_usd(PicoUsd{0}), "0");
  EXPECT_EQ(format_usd(PicoUsd{1}), "0.000000000001");
  EXPECT_EQ(format_usd(PicoUsd{2'500'000}), "0.0000025");
  EXPECT_EQ(format_usd(PicoUsd{10'000'000'000'000}), "10");
  EXPECT_EQ(format_usd(PicoUsd{1'500'000'000'000}), "1.5");
}

RC_GTEST_PROP(PicoUsdTest, SurvivesItsDecimalText, ()) {
  const PicoUsd price{*rc::gen::inRange<std::int64_t>(0, 1'000'000'000'000'000'001)};
  const std::string text =
      fmt::format("{}.{:012}", price.value / 1'000'000'000'000, price.value % 1'000'000'000'000);
  RC_ASSERT(parse_usd(text).value() == price);
  RC_ASSERT(parse_usd(format_usd(price)).value() == price);
  RC_ASSERT(price.to_double() == std::stod(text));
}

TEST(RoundUsdTest, TakesWhatProvidersReport) {
  EXPECT_EQ(round_usd(0.00014250000000000002), PicoUsd{142500000});
  EXPECT_EQ(round_usd(0), PicoUsd{});
  EXPECT_EQ(round_usd(1e6), PicoUsd{1'000'000'000'000'000'000});
  EXPECT_EQ(round_usd(-1e-9), std::nullopt);
  EXPECT_EQ(round_usd(1e6 + 1), std::nullopt);
  EXPECT_EQ(round_usd(std::numeric_limits<double>::infinity()), std::nullopt);
  EXPECT_EQ(round_usd(std::numeric_limits<double>::quiet_NaN()), std::nullopt);
}

Prices prices(std::string_view input, std::string_view output) {
  Prices out;
  out.input = parse_usd(input).value();
  out.output = parse_usd(output).value();
  return out;
}

TEST(ComputeCostTest, PricesCachedAndWrittenInputApart) {
  Prices claude = prices("0.000001", "0.000005");
  claude.cache_read = parse_usd("0.0000001").value();
  claude.cache_write = parse_usd("0.00000125").value();
  // A published delivery: 48,894 tokens of input of which 47,889 were written to the cache.
  const Usage written{.input = 48894, .output = 842, .total = 49736, .cache_write = 47889};
  const Cost cost = compute_cost(written, claude);
  EXPECT_EQ(cost.input->to_double(), 0.06086625);
  EXPECT_EQ(cost.output->to_double(), 0.00421);
  EXPECT_EQ(cost.total.to_double(), 0.06507625);
  EXPECT_EQ(cost.cache_discount->to_double(), -0.01197225);

  const Usage read{.input = 1000, .output = 1, .total = 1001, .cached = 900, .reasoning = 1};
  EXPECT_EQ(compute_cost(read, claude).total.to_double(), 0.000195);
  EXPECT_EQ(compute_cost(read, claude).cache_discount->to_double(), 0.00081);
}

TEST(ComputeCostTest, FallsBackToTheInputPrice) {
  const Usage usage{.input = 100, .output = 0, .total = 100, .cached = 50, .cache_write = 20};
  const Cost cost = compute_cost(usage, prices("0.01", "1"));
  EXPECT_EQ(cost.input->to_double(), 1.0);
  EXPECT_EQ(cost.cache_discount, PicoUsd{});
}

TEST(ComputeCostTest, AddsThePriceOfTheCall) {
  Prices search = prices("0.000001", "0.000001");
  search.request = parse_usd("0.005").value();
  const Cost cost = compute_cost({.input = 1, .output = 2, .total = 3}, search);
  EXPECT_EQ(cost.total.to_double(), 0.005003);
  EXPECT_EQ(cost.cache_discount, std::nullopt);
}

Prices tiered() {
  Prices gemini = prices("0.00000125", "0.00001");
  gemini.cache_read = parse_usd("0.0000001").value();
  gemini.tiers = {{.above_tokens = 200'000,
                   .input = parse_usd("0.0000025").value(),
                   .output = parse_usd("0.000015").value(),
                   .cache_read = {},
                   .cache_write = {}},
                  {.above_tokens = 500'000,
                   .input = parse_usd("0.00001").value(),
                   .output = {},
                   .cache_read = {},
                   .cache_write = {}}};
  return gemini;
}

TEST(ComputeCostTest, ChargesALongCallAtItsTierThroughout) {
  const auto total = [](std::int64_t input) {
    return compute_cost({.input = input, .output = 10, .total = input + 10}, tiered())
        .total.to_double();
  };
  EXPECT_EQ(total(200'000), 0.2501);
  EXPECT_EQ(total(200'001), 0.5001525);
  EXPECT_EQ(total(500'000), 1.25015);
  EXPECT_EQ(total(500'001), 5.00016);
  const Cost cached =
      compute_cost({.input = 300'000, .output = 0, .total = 300'000, .cached = 300'000}, tiered());
  EXPECT_EQ(cached.total.to_double(), 0.03) << "a tier without a cache price has the one below";
  EXPECT_EQ(cached.cache_discount->to_double(), 0.72);
}

TEST(ComputeCostTest, WritesForAnHourHaveTheirPrice) {
  Prices claude = prices("0.000001", "0.000005");
  const Usage usage{.input = 1000,
                    .output = 0,
                    .total = 1000,
                    .cache_write = 900,
                    .cache_write_5m = 600,
                    .cache_write_1h = 300};
  claude.cache_write = parse_usd("0.00000125").value();
  EXPECT_EQ(compute_cost(usage, claude).input->to_double(), 0.001225) << "that of all writes";
  claude.cache_write_1h = parse_usd("0.000002").value();
  EXPECT_EQ(compute_cost(usage, claude).input->to_double(), 0.00145);
  EXPECT_EQ(compute_cost(usage, claude).cache_discount->to_double(), -0.00045);
}

TEST(ComputeCostTest, ReasoningAndAudioCostTheirPricesInstead) {
  Prices omni = prices("0.01", "0.1");
  Usage usage{.input = 100, .output = 50, .total = 150, .reasoning = 20};
  usage.input_audio = 40;
  usage.output_audio = 10;
  EXPECT_EQ(compute_cost(usage, omni).total.to_double(), 6.0) << "parts are parts";
  omni.audio = parse_usd("0.02").value();
  EXPECT_EQ(compute_cost(usage, omni).input->to_double(), 1.4);
  EXPECT_EQ(compute_cost(usage, omni).output->to_double(), 5.0) << "of the input";
  omni.audio_output = parse_usd("0.2").value();
  EXPECT_EQ(compute_cost(usage, omni).output->to_double(), 6.0);
  omni.reasoning = parse_usd("0.3").value();
  EXPECT_EQ(compute_cost(usage, omni).output->to_double(), 10.0);
}

TEST(ComputeCostTest, CachedTokensAreTakenForTextFirst) {
  Prices omni = prices("0.01", "0.1");
  omni.audio = parse_usd("0.02").value();
  omni.cache_read = parse_usd("0.001").value();
  Usage usage{.input = 100, .output = 0, .total = 100, .cached = 60};
  usage.input_audio = 40;
  EXPECT_EQ(compute_cost(usage, omni).total.to_double(), 0.86);
  usage.cached = 70;
  EXPECT_EQ(compute_cost(usage, omni).total.to_double(), 0.67) << "ten of them were audio";
}

TEST(ComputeCostTest, AnImageCostsItsPriceAndNotItsTokensToo) {
  Prices seeing = prices("0.01", "0.1");
  Usage usage{.input = 100, .output = 0, .total = 100};
  EXPECT_EQ(compute_cost(usage, seeing, 2).total.to_double(), 1.0) << "no price of its own";
  seeing.image = parse_usd("0.25").value();
  EXPECT_EQ(compute_cost(usage, seeing, 2).input->to_double(), 1.5);
  usage.input_image = 80;
  EXPECT_EQ(compute_cost(usage, seeing, 2).input->to_double(), 0.7);
  EXPECT_EQ(compute_cost(usage, seeing, 0).input->to_double(), 1.0) << "none was counted";
  EXPECT_EQ(charge(usage, {.prices = seeing, .images = 2}, {})->total.to_double(), 0.7);
}

RC_GTEST_PROP(ComputeCostTest, ChargesEachTokenOnce, ()) {
  const auto count = [] { return *rc::gen::inRange<std::int64_t>(0, 1000); };
  Usage usage{.input = 3000 + count(), .output = count()};
  usage.cached = count();
  usage.cache_write = count();
  usage.cache_write_1h = count();
  usage.reasoning = count();
  usage.input_audio = count();
  usage.input_image = count();
  usage.output_audio = count();
  const Prices plain = prices("0.01", "0.1");
  Prices all = plain;
  all.cache_read = all.cache_write = all.cache_write_1h = all.audio = plain.input;
  all.audio_output = all.reasoning = plain.output;
  const Cost cost = compute_cost(usage, all);
  RC_ASSERT(cost.input->value == usage.input * plain.input.value);
  RC_ASSERT(cost.output->value == usage.output * plain.output.value);
  RC_ASSERT(compute_cost(usage, plain).total == cost.total);
}

TEST(ComputeCostTest, TiersChangeSpecialPricesToo) {
  Prices flat = prices("0.01", "0.1");
  flat.reasoning = parse_usd("0.2").value();
  flat.audio = parse_usd("0.02").value();
  PriceTier tier{
      .above_tokens = 100, .input = {}, .output = {}, .cache_read = {}, .cache_write = {}};
  tier.reasoning = parse_usd("0.4").value();
  flat.tiers = {tier};
  const Prices at = flat.at(101);
  EXPECT_EQ(at.reasoning, parse_usd("0.4").value());
  EXPECT_EQ(at.audio, parse_usd("0.02").value());
  EXPECT_TRUE(at.tiers.empty());
}

TEST(ChargeTest, ChargesWhatTheProviderReportsIfItIsTrusted) {
  const Usage usage{.input = 10, .output = 2, .total = 12};
  const Pricing table{.prices = prices("0.000001", "0.000002")};
  const auto ours = charge(usage, table, PicoUsd{5});
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->total, PicoUsd{14'000'000});
  EXPECT_EQ(ours->upstream, PicoUsd{5});

  const Pricing trusted{.prices = table.prices, .trusts_upstream_cost = true};
  const auto theirs = charge(usage, trusted, PicoUsd{5});
  ASSERT_TRUE(theirs);
  EXPECT_EQ(theirs->total, PicoUsd{5});
  EXPECT_EQ(theirs->input, std::nullopt);
  EXPECT_EQ(theirs->output, std::nullopt);
  EXPECT_EQ(charge(usage, trusted, {})->total, PicoUsd{14'000'000});
  EXPECT_EQ(charge(usage, {.prices = {}, .trusts_upstream_cost = true}, PicoUsd{5})->total,
            PicoUsd{5});
}

TEST(ChargeTest, IsNotZeroForWhatHasNoPrice) {
  EXPECT_FALSE(charge({.input = 10, .total = 10}, {}, {}));
  EXPECT_FALSE(charge({.input = 10, .total = 10}, {}, PicoUsd{5}));
}

TEST(AddCostTest, KeepsThePricesOfTheTier) {
  Generation generation;
  generation.usage = Usage{.input = 200'001, .output = 0, .total = 200'001};
  generation.pricing.prices = tiered();
  add_cost({}, generation);
  EXPECT_EQ(generation.pricing.prices->input, PicoUsd{2'500'000});
  EXPECT_EQ(generation.cost->total.to_double(), 0.5000025);
}

TEST(ComputeCostTest, SurvivesReportsThatMakeNoSense) {
  const Usage more_cached_than_sent{.input = 10, .output = -5, .total = 10, .cached = 30};
  EXPECT_EQ(compute_cost(more_cached_than_sent, prices("0.1", "0.1")).total.to_double(), 3.0);

  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const Usage endless{
      .input = kMost, .output = kMost, .total = kMost, .cached = kMost, .cache_write = kMost};
  const Cost cost = compute_cost(endless, prices("1000000", "1000000"));
  EXPECT_EQ(cost.total.value, kMost);
  EXPECT_EQ(cost.cache_discount, PicoUsd{});
}

}  // namespace
}  // namespace gantry::gateway
