#include "access/secrets/stored_secrets.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "access/testing/secrets_fixture.h"

namespace gantry::access {
namespace {

constexpr std::string_view kApiKey = "glc_aaaaaaaaaaaaaaaaaaaaaaaaaaaa9fQ2";

class StoredSecretsTest : public SecretsFixture {};

TEST_F(StoredSecretsTest, GivesBackWhatWasSet) {
  set(place(org_, "d1"), kApiKey);
  EXPECT_EQ(read(place(org_, "d1")), kApiKey);
  EXPECT_EQ(read(place(org_, "d2")), "-");
  EXPECT_EQ(read(place(org_, "d1", "password")), "-");
}

TEST_F(StoredSecretsTest, SaysForTheAuditLogWhatChanged) {
  auto tx = directory_->begin_write();
  const auto where = place(org_, "d1");
  const auto first = secrets_->set(*tx, where, Secret::copy_of("one"), clock_.now());
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->field + " " + first->before + " " + first->after, "apiKey unset set");
  const auto second = secrets_->set(*tx, where, Secret::copy_of("two"), clock_.now());
  EXPECT_EQ(second->before + " " + second->after, "set changed");
  const auto gone = erase_secret(*tx, where);
  ASSERT_TRUE(gone && *gone);
  EXPECT_EQ((*gone)->before + " " + (*gone)->after, "set unset");
  EXPECT_EQ(*erase_secret(*tx, where), std::nullopt);
}

TEST_F(StoredSecretsTest, ListsHintsOnly) {
  set(place(org_, "d1", "password"), "short");
  set(place(org_, "d1"), kApiKey);
  set(place(org_, "d2"), kApiKey);
  auto tx = directory_->begin_read();
  const auto listed = list_secrets(org_, *tx, "destinations", "d1");
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].column + " " + (*listed)[0].hint, "apiKey glc_…9fQ2");
  EXPECT_EQ((*listed)[1].column + " " + (*listed)[1].hint, "password …");
  EXPECT_EQ((*listed)[0].updated_at, clock_.now());
}

TEST_F(StoredSecretsTest, TheDatabaseHoldsNoSecretInClear) {
  set(place(org_, "d1"), kApiKey);
  const std::string sealed = query("SELECT sealed FROM secrets");
  EXPECT_TRUE(sealed.starts_with("gsec1.k1.1.xc20p.")) << sealed;
  EXPECT_EQ(sealed.find(kApiKey), std::string::npos);
  EXPECT_TRUE(query("SELECT wrapped FROM data_keys").starts_with("gsec1.k1.1.xc20p."));
}

TEST_F(StoredSecretsTest, ASealedValueOpensInNoOtherRowColumnTableOrOrganisation) {
  const OrgId other = add_organisation("other");
  set(place(org_, "d1"), "one");
  set(place(org_, "d2"), "two");
  set(place(org_, "d1", "password"), "three");
  set(place(other, "d1"), "four");
  const auto swap = [&](const std::string& where) {
    execute("UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE org_id = " +
            std::to_string(org_.value()) + " AND owner_id = 'd1' AND name = 'apiKey') WHERE " +
            where);
  };
  swap("owner_id = 'd2'");
  swap("name = 'password'");
  swap("org_id = " + std::to_string(other.value()));
  const std::string why =
      "a sealed value does not open: it was changed, belongs elsewhere, or is of another key";
  EXPECT_EQ(read(place(org_, "d1")), "one");
  EXPECT_EQ(read(place(org_, "d2")), "error: the secret apiKey of destinations d2: " + why);
  EXPECT_EQ(read(place(org_, "d1", "password")),
            "error: the secret password of destinations d1: " + why);
  EXPECT_EQ(read(place(other, "d1")), "error: the secret apiKey of destinations d1: " + why);
  execute(
      "UPDATE secrets SET owner_table = 'providers' WHERE owner_id = 'd1' AND name = 'apiKey' "
      "AND org_id = " +
      std::to_string(org_.value()));
  SealPlace moved = place(org_, "d1");
  moved.table = "providers";
  EXPECT_EQ(read(moved), "error: the secret apiKey of providers d1: " + why);
}

TEST_F(StoredSecretsTest, ADataKeyOfAnotherOrganisationDoesNotPass) {
  const OrgId other = add_organisation("other");
  set(place(org_, "d1"), "one");
  set(place(other, "d1"), "two");
  execute("UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE org_id = " +
          std::to_string(org_.value()) + ")");
  EXPECT_EQ(read(place(org_, "d1")), "one");
  EXPECT_EQ(read(place(other, "d1")),
            "error: the secret apiKey of destinations d1: data key 1 of organisation " +
                std::to_string(other.value()) +
                ": a sealed value does not open: it was changed, belongs elsewhere, or is of "
                "another key");
}

TEST_F(StoredSecretsTest, EachOrganisationHasOneKeyUntilItHasSealedEnough) {
  const OrgId other = add_organisation("other");
  sealer_.emplace(parts(), Sealer::Options{.seals_per_key_max = 2});
  for (const std::string_view row : {"d1", "d2", "d3"}) set(place(org_, row), row);
  set(place(other, "d1"), "one");
  EXPECT_EQ(count("data_keys"), 3);
  for (const std::string_view row : {"d1", "d2", "d3"}) EXPECT_EQ(read(place(org_, row)), row);
}

TEST_F(StoredSecretsTest, SealsWithEitherAlgorithmAndOpensBoth) {
  set(place(org_, "d1"), "one");
  sealer_.emplace(parts(), Sealer::Options{.algorithm = SealAlgorithm::Aes256Gcm});
  set(place(org_, "d2"), "two");
  EXPECT_TRUE(
      query("SELECT sealed FROM secrets WHERE owner_id = 'd2'").starts_with("gsec1.k1.1.a256gcm."));
  EXPECT_EQ(read(place(org_, "d1")), "one");
  EXPECT_EQ(read(place(org_, "d2")), "two");
}

TEST_F(StoredSecretsTest, ErasesARowAndAnOrganisation) {
  const OrgId other = add_organisation("other");
  set(place(org_, "d1"), "one");
  set(place(org_, "d1", "password"), "two");
  set(place(org_, "d2"), "three");
  set(place(other, "d1"), "four");
  write([&](state::Transaction& tx) { return erase_secrets(org_, tx, "destinations", "d1"); });
  EXPECT_EQ(count("secrets"), 2);
  write([&](state::Transaction& tx) { return erase_secrets(org_, tx); });
  EXPECT_EQ(count("secrets"), 1);
  EXPECT_EQ(count("data_keys"), 1);
  EXPECT_EQ(read(place(other, "d1")), "four");
}

TEST_F(StoredSecretsTest, AMissingKeyOrKeyringIsNamed) {
  set(place(org_, "d1"), "one");
  const std::string file = source().path.string();
  write_keyring(Keyring::make("k2"));
  open_audit();
  EXPECT_EQ(read(place(org_, "d1")),
            "error: the secret apiKey of destinations d1: data key 1 of organisation " +
                std::to_string(org_.value()) + ": sealed with key \"k1\", which is not in " + file +
                ": restore it from a backup or copy it from another replica");
  const OrgId other = add_organisation("other");
  auto tx = directory_->begin_write();
  const auto refused = secrets_->set(*tx, place(other, "d1"), Secret::copy_of("x"), clock_.now());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            file +
                " is not the keyring of the secrets in this database: restore the one that is "
                "from its backup, or copy it from another replica");
}

TEST_F(StoredSecretsTest, AMissingDataKeyIsNamed) {
  set(place(org_, "d1"), "one");
  execute(
      "UPDATE secrets SET sealed = 'gsec1.k1.9.a256gcm.AAAAAAAAAAAAAAAA."
      "AAAAAAAAAAAAAAAAAAAAAA'");
  EXPECT_EQ(read(place(org_, "d1")),
            "error: the secret apiKey of destinations d1: sealed with data key 9 of organisation " +
                std::to_string(org_.value()) + ", which is not in the database");
}

TEST_F(StoredSecretsTest, PlacesHaveNamesThatCannotBeMistaken) {
  auto tx = directory_->begin_write();
  for (const std::string& row :
       {std::string(), std::string("a|b"), std::string("a\nb"), std::string(129, 'a')}) {
    const auto sealed = sealer_->seal(*tx, place(org_, row), Secret::copy_of("x"));
    ASSERT_FALSE(sealed) << row;
    EXPECT_EQ(sealed.error().code, Code::InvalidArgument);
  }
}

TEST(SecretHintTest, ShowsEnoughToRecogniseIt) {
  EXPECT_EQ(secret_hint(kApiKey), "glc_…9fQ2");
  EXPECT_EQ(secret_hint("sk-aaaaaaaaaaaaaaaaaaaaWXYZ"), "sk-…WXYZ");
  EXPECT_EQ(secret_hint("aaaaaaaaaaaaaaaaaaaaaaaaWXYZ"), "…WXYZ");
  EXPECT_EQ(secret_hint("nineteen-bytes-long"), "…");
  EXPECT_EQ(secret_hint(""), "…");
  EXPECT_EQ(secret_hint("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n"), "…");
}

TEST(SecretTextTest, AMaskIsNoSecret) {
  const auto problem = [](std::string_view text) {
    std::vector<FieldProblem> problems;
    check_secret_text(problems, "secrets.apiKey", text, "glc_…9fQ2");
    return problems.empty() ? std::string() : problems.at(0).path + ": " + problems.at(0).reason;
  };
  for (const std::string_view mask : {"glc_…9fQ2", "********", "[REDACTED]", "<redacted>", "…"})
    EXPECT_EQ(problem(mask),
              "secrets.apiKey: is the mask of a secret, not a secret; leave the "
              "field out to keep what is set")
        << mask;
  EXPECT_EQ(problem(""), "secrets.apiKey: is empty; null clears the secret");
  EXPECT_EQ(problem(std::string(kSecretBytesMax + 1, 'x')),
            "secrets.apiKey: is longer than 65536 bytes");
  EXPECT_EQ(problem(kApiKey), "");
}

}  // namespace
}  // namespace gantry::access
