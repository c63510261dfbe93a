#include "gateway/served_catalogue.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "gateway/testing/catalogues.h"
#include "gateway/testing/small_vocabulary.h"

namespace gantry::gateway {
namespace {

class ServedCatalogueTest : public ::testing::Test {
 protected:
  Result<std::shared_ptr<const ServedCatalogue>> serve(Provider provider,
                                                       const ServedCatalogue* previous = nullptr) {
    ModelConfig model{.id = "author/model"};
    model.endpoints = {testing::make_endpoint(provider.slug)};
    CatalogueConfig config;
    config.models = {model};
    config.providers = {std::move(provider)};
    config.tokenizers = tokenizers_;
    return ServedCatalogue::make({.catalogue = testing::make_catalogue(std::move(config)),
                                  .read_secret = reader_,
                                  .waiting_room = room_,
                                  .steady_clock = clock_,
                                  .random = random_,
                                  .previous = previous});
  }

  static const Endpoint& endpoint(const ServedCatalogue& served) {
    return *served.catalogue().models().front()->endpoints.front();
  }

  std::vector<TokenizerConfig> tokenizers_;
  ManualClock clock_{{1000}};
  RandomSource random_{1};
  std::shared_ptr<WaitingRoom> room_ = std::make_shared<WaitingRoom>(10);
  SecretReader reader_ = [](std::string_view reference) -> Result<std::string> {
    return "secret of " + std::string(reference);
  };
};

TEST_F(ServedCatalogueTest, MakesUpstreamsOfEndpoints) {
  Provider provider = testing::make_provider("openai");
  provider.name = "OpenAI";
  provider.keys = {{.secret_reference = "env:A"}};
  provider.headers = {{"x-team", "blue"}};
  const auto served = serve(provider);
  ASSERT_TRUE(served);
  ServedProvider& openai = (*served)->provider_of(endpoint(**served));
  const Upstream upstream =
      openai.upstream(endpoint(**served), {.headers = {7}}, openai.pick_key());
  EXPECT_EQ(upstream.name, "OpenAI");
  EXPECT_EQ(upstream.key, "secret of env:A");
  EXPECT_EQ(upstream.model, "upstream");
  EXPECT_EQ(upstream.headers.find("x-team"), "blue");
  EXPECT_EQ(upstream.timeouts.headers, DurationMs{7});
  EXPECT_EQ(upstream.usage, StreamUsage::Ask);
}

TEST_F(ServedCatalogueTest, PassesOnTheListedFieldsOfClients) {
  Provider provider = testing::make_provider("azure", ProviderType::AzureOpenAi);
  provider.api_version = "2024-10-21";
  provider.forward_headers = {{"x-team"}};
  const auto served = serve(provider);
  ASSERT_TRUE(served);
  const Upstream upstream =
      (*served)->provider_of(endpoint(**served)).upstream(endpoint(**served), {}, std::nullopt);
  EXPECT_EQ(upstream.api_version, "2024-10-21");
  EXPECT_EQ(upstream.forward_headers, std::vector<std::string>{"x-team"});
}

TEST_F(ServedCatalogueTest, AGatewayGetsWhatIsForGateways) {
  Provider provider = testing::make_provider("openrouter");
  const auto upstream_of = [&] {
    const auto served = serve(provider);
    EXPECT_TRUE(served);
    return (*served)
        ->provider_of(endpoint(**served))
        .upstream(endpoint(**served), {}, std::nullopt);
  };
  EXPECT_EQ(upstream_of().gateway_fields, GatewayFields::Remove);
  provider.is_gateway = true;
  EXPECT_EQ(upstream_of().gateway_fields, GatewayFields::Keep);
}

TEST_F(ServedCatalogueTest, AProviderWithoutKeysIsCalledWithoutOne) {
  Provider provider = testing::make_provider("vllm");
  provider.stream_usage = StreamUsageSupport::None;
  const auto served = serve(provider);
  ASSERT_TRUE(served);
  ServedProvider& vllm = (*served)->provider_of(endpoint(**served));
  EXPECT_FALSE(vllm.pick_key());
  const Upstream upstream = vllm.upstream(endpoint(**served), {}, std::nullopt);
  EXPECT_EQ(upstream.key, "");
  EXPECT_EQ(upstream.usage, StreamUsage::AsClientSaid);
}

TEST_F(ServedCatalogueTest, PlacesOutliveAReload) {
  Provider provider = testing::make_provider("openai");
  provider.max_concurrent = 1;
  const auto first = serve(provider);
  ASSERT_TRUE(first);
  const auto taken = (*first)->provider_of(endpoint(**first)).slots()->try_take();
  ASSERT_TRUE(taken);
  const auto second = serve(provider, first->get());
  ASSERT_TRUE(second);
  EXPECT_FALSE((*second)->provider_of(endpoint(**second)).slots()->try_take());
  provider.max_concurrent = 2;
  const auto third = serve(provider, second->get());
  ASSERT_TRUE(third);
  EXPECT_TRUE((*third)->provider_of(endpoint(**third)).slots()->try_take());
}

TEST_F(ServedCatalogueTest, LoadsTokenizersAndFindsThoseOfModels) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "gantry_test_vocabulary";
  std::ofstream(path) << testing::small_vocabulary({"ab"});
  tokenizers_ = {{.encoding = Encoding::Cl100kBase, .file = path, .models = {"author/mod*"}},
                 {.encoding = Encoding::O200kBase, .file = path, .models = {"*"}}};
  const auto served = serve(testing::make_provider("openai"));
  std::ofstream(path) << "ab 1\n";
  const auto refused = serve(testing::make_provider("openai"));
  std::filesystem::remove(path);
  ASSERT_TRUE(served) << served.error().message;
  ASSERT_NE((*served)->tokenizer_of("author/model"), nullptr);
  EXPECT_EQ((*served)->tokenizer_of("author/model")->count("abab"), 2);
  EXPECT_NE((*served)->tokenizer_of("a/b"), (*served)->tokenizer_of("author/model"));
  EXPECT_EQ((*served)->tokenizer_for("author/model:nitro"),
            (*served)->tokenizer_of("author/model"));
  EXPECT_EQ((*served)->tokenizer_for("unknown/model"), nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "gateway.tokenizers[0]: " + path.string() + ":1: the token is not base64");
}

TEST_F(ServedCatalogueTest, SaysWhoseSecretIsMissing) {
  reader_ = read_secret;
  Provider provider = testing::make_provider("openai");
  provider.keys = {{.secret_reference = "env:GANTRY_TEST_NO_SUCH_VARIABLE"}};
  const auto served = serve(provider);
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code, Code::NotFound);
  EXPECT_EQ(served.error().message,
            "provider openai: env:GANTRY_TEST_NO_SUCH_VARIABLE: not set, or empty");
}

TEST(ReadSecret, FromTheEnvironmentAndFromFiles) {
  ::setenv("GANTRY_TEST_SECRET", "s1", 1);
  EXPECT_EQ(read_secret("env:GANTRY_TEST_SECRET"), "s1");
  const auto path = std::filesystem::path(::testing::TempDir()) / "gantry_test_secret";
  std::ofstream(path) << "s2\n";
  EXPECT_EQ(read_secret("file:" + path.string()), "s2");
  std::ofstream(path) << std::string((16 << 10) + 1, 'x');
  EXPECT_EQ(read_secret("file:" + path.string()).error().code, Code::TooLarge);
  std::filesystem::remove(path);
  EXPECT_EQ(read_secret("file:" + path.string()).error().code, Code::NotFound);
  const auto other = read_secret("sk-plain");
  ASSERT_FALSE(other);
  EXPECT_FALSE(other.error().message.contains("sk-plain")) << "it is likely to be the secret";
}

}  // namespace
}  // namespace gantry::gateway
