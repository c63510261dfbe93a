#include "access/legacy_keys.h"

#include <gtest/gtest.h>

#include "access/testing/control_fixture.h"

namespace gantry::access {
namespace {

// {"k":"0123…","n":"old","id":1} and what sha256sum prints for it.
constexpr std::string_view kKey =
    "eyJrIjoiMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2NyIsIm4iOiJvbGQiLCJpZCI6MX0=";
constexpr std::string_view kDigest =
    "cd72cef5224fc4e340ff8244129dc0bdadd2e744bda20af9885c4559c14a36b4";

class LegacyKeysTest : public ControlFixture {
 protected:
  ControlResult<LegacyKey> import(const LegacyKeyImport& key) { return import(admin(), key); }

  ControlResult<LegacyKey> import(const ControlPrincipal& who, const LegacyKeyImport& key) {
    return change(who, [&](ControlChange& change) { return import_legacy_key(org_, change, key); });
  }

  /// "scope count", or the reason for refusing it.
  std::string ask(std::string_view token) {
    const auto who =
        authenticator_.authenticate({.authorization = {"Bearer " + std::string(token)}}, {}, {});
    return who ? who->policy_name : std::string(who.error().reason);
  }
};

TEST_F(LegacyKeysTest, AnImportedKeyOpensWhatItsRoleDoes) {
  EXPECT_EQ(ask(kKey), "malformed_token");
  clock_.advance({5'000});
  const auto imported =
      import({.name = "old", .role = "MetricsPublisher", .sha256 = std::string(kDigest)});
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->token.kind, TokenKind::Legacy);
  EXPECT_EQ(imported->token.hint, "eyJrIjoi…");
  EXPECT_EQ(ask(kKey), "legacy-metrics-publisher");
  EXPECT_EQ(events(), (std::vector<std::string>{"accesspolicy.created", "apikey.created"}))
      << "also while access.legacy_keys is off";
  const auto listed =
      read([&](state::Transaction& tx) { return list_legacy_keys(org_, tx, clock_.now()); });
  ASSERT_TRUE(listed && listed->size() == 1);
  EXPECT_EQ(listed->front().role, "MetricsPublisher");
  ASSERT_TRUE(change(
      admin(), [&](ControlChange& change) { return delete_legacy_key(org_, change, "old"); }));
  EXPECT_EQ(ask(kKey), "revoked");
}

TEST_F(LegacyKeysTest, TheDigestItselfIsNoCredential) {
  ASSERT_TRUE(import({.name = "old", .role = "Viewer", .sha256 = std::string(kDigest)}));
  EXPECT_NE(ask(kDigest), "legacy-viewer");
  EXPECT_NE(ask("sha256" + std::string(kDigest)), "legacy-viewer");
}

TEST_F(LegacyKeysTest, OneKeyIsImportedOnce) {
  ASSERT_TRUE(import({.name = "old", .role = "Viewer", .sha256 = std::string(kDigest)}));
  const auto again = import({.name = "other", .role = "Admin", .sha256 = std::string(kDigest)});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::AlreadyExists);
}

TEST_F(LegacyKeysTest, WrongImportsAreRefused) {
  const std::string digest(kDigest);
  for (const std::string& wrong :
       {std::string(), digest.substr(1), digest + "0", "g" + digest.substr(1)})
    EXPECT_EQ(import({.name = "old", .role = "Viewer", .sha256 = wrong}).error().code,
              Code::InvalidArgument)
        << wrong;
  EXPECT_EQ(import({.name = "old", .role = "Boss", .sha256 = digest}).error().code,
            Code::InvalidArgument);
  EXPECT_EQ(import({.name = "Old", .role = "Viewer", .sha256 = digest}).error().code,
            Code::InvalidArgument);
  EXPECT_EQ(import(token_with({Scope::AccessPoliciesWrite, Scope::MetricsRead}),
                   {.name = "old", .role = "Admin", .sha256 = digest})
                .error()
                .code,
            Code::PermissionDenied)
      << "nobody hands on more than they have";
  EXPECT_EQ(ask(kKey), "malformed_token");
}

}  // namespace
}  // namespace gantry::access
