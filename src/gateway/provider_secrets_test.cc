#include "gateway/provider_secrets.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "access/testing/secrets_fixture.h"

namespace gantry::gateway {
namespace {

using access::Secret;

constexpr std::string_view kKey = "sk-proj-0123456789abcdefghij-Zz9Q";

class ProviderSecretsTest : public access::SecretsFixture {
 protected:
  [[nodiscard]] ProviderSecrets secrets() {
    return ProviderSecrets({.db = *db_, .sealer = *sealer_, .audit = *audit_, .clock = clock_});
  }

  /// "error: …", or what the reference stands for.
  std::string read_reference(std::string_view reference) {
    const auto secret = secrets().read_reference(reference);
    return secret ? *secret : "error: " + secret.error().message;
  }

  std::string set(std::string_view name, std::string_view text) {
    const auto done = secrets().set(name, Secret::copy_of(text));
    return done ? "" : done.error().message;
  }
};

TEST_F(ProviderSecretsTest, AreReadBackByTheirReferenceAlone) {
  ASSERT_EQ(set("openai", kKey), "");
  EXPECT_EQ(read_reference("sealed:openai"), kKey);
  ASSERT_EQ(set("openai", "sk-another"), "");
  EXPECT_EQ(read_reference("sealed:openai"), "sk-another");
  EXPECT_EQ(read_reference("sealed:other"),
            "error: sealed:other: not set: gantry gateway-secrets set other");
  EXPECT_FALSE(query("SELECT sealed FROM secrets").contains("sk-another"));
  ::setenv("GANTRY_TEST_SECRET", "s1", 1);
  EXPECT_EQ(read_reference("env:GANTRY_TEST_SECRET"), "s1");
  EXPECT_TRUE(read_reference("sk-plain").starts_with("error: "));
}

TEST_F(ProviderSecretsTest, AreListedWithoutWhatTheyAre) {
  ASSERT_EQ(set("openai", kKey), "");
  ASSERT_EQ(set("anthropic", "short"), "");
  const auto listed = secrets().list();
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].column, "anthropic");
  EXPECT_EQ((*listed)[0].hint, "…");
  EXPECT_EQ((*listed)[1].column, "openai");
  EXPECT_EQ((*listed)[1].hint, "sk-…Zz9Q");
}

TEST_F(ProviderSecretsTest, AreDeletedOnce) {
  ASSERT_EQ(set("openai", kKey), "");
  EXPECT_TRUE(secrets().erase("openai"));
  EXPECT_TRUE(read_reference("sealed:openai").starts_with("error: sealed:openai: not set"));
  const auto again = secrets().erase("openai");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::NotFound);
}

TEST_F(ProviderSecretsTest, EveryChangeIsInTheAuditLogWithoutTheSecret) {
  ASSERT_EQ(set("openai", kKey), "");
  ASSERT_EQ(set("openai", "sk-another"), "");
  ASSERT_TRUE(secrets().erase("openai"));
  const auto events = audit_->read({.event = "gateway_secret."});
  ASSERT_TRUE(events) << events.error().message;
  ASSERT_EQ(events->size(), 3U);
  EXPECT_EQ((*events)[0].event.event, "gateway_secret.deleted");
  EXPECT_EQ((*events)[1].event.changes.at(0).after, "changed");
  EXPECT_EQ((*events)[2].event.changes.at(0).after, "set");
  EXPECT_EQ((*events)[2].event.target.name, "openai");
}

TEST_F(ProviderSecretsTest, WhatCanBeNoSecretIsRefusedUnread) {
  for (const char* name : {"", "a b", "a|b", "../x", "sealed:x"}) {
    EXPECT_TRUE(set(name, kKey).starts_with("a secret's name is 1 to 64")) << name;
  }
  EXPECT_EQ(set("n", ""), "the secret is empty; null clears the secret");
  for (const char* text : {"sk-1\r\nHost: evil", "two words", "schlüssel"}) {
    const std::string why = set("n", text);
    EXPECT_EQ(why, "the secret is not one line of visible ASCII characters");
  }
  EXPECT_EQ(count("secrets"), 0);
}

TEST_F(ProviderSecretsTest, ASecretThatDoesNotOpenIsNoSecret) {
  ASSERT_EQ(set("openai", kKey), "");
  execute("UPDATE secrets SET name = 'azure'");
  const std::string moved = read_reference("sealed:azure");
  EXPECT_TRUE(moved.starts_with("error: sealed:azure: ")) << moved;
  EXPECT_FALSE(moved.contains(kKey));
}

}  // namespace
}  // namespace gantry::gateway
