#include "access/first_start.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "access/password.h"
#include "access/testing/directory_fixture.h"

namespace gantry::access {
namespace {

class FirstStartTest : public DirectoryFixture {
 protected:
  std::optional<FirstStart> create() {
    auto first = create_first_stack(path_, *directory_, hasher_, clock_,
                                    {.url = "http://localhost:9490", .zone = "local"});
    EXPECT_TRUE(first) << (first ? "" : first.error().message);
    return first ? *std::move(first) : std::nullopt;
  }

  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TokenGrant grant(const std::string& token) {
    auto found = directory_->find_grant(hasher_.hashes(token));
    EXPECT_TRUE(found && *found);
    return **found;
  }
};

TEST_F(FirstStartTest, MakesOneStackWithThreeTokens) {
  const auto first = create();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->instance_id, StackId(1'000'000));
  const auto stacks = directory_->list_stacks();
  ASSERT_TRUE(stacks);
  ASSERT_EQ(stacks->size(), 1U);
  EXPECT_EQ(stacks->front().slug, "main");
  EXPECT_EQ(stacks->front().zone, "local");

  const TokenGrant write = grant(first->write_token);
  EXPECT_EQ(write.scopes, (ScopeSet{Scope::MetricsWrite, Scope::LogsWrite, Scope::TracesWrite}));
  const TokenGrant read = grant(first->read_token);
  EXPECT_TRUE(read.scopes.contains(Scope::MetricsRead));
  EXPECT_TRUE(read.scopes.contains(Scope::LogsRead));
  EXPECT_TRUE(read.scopes.contains(Scope::TracesRead));
  EXPECT_FALSE(read.scopes.contains(Scope::MetricsWrite));
  const TokenGrant admin = grant(first->admin_token);
  EXPECT_TRUE(admin.scopes.contains(Scope::AccessPoliciesWrite));
  for (const TokenGrant* const each : {&write, &read, &admin}) {
    ASSERT_EQ(each->stacks.size(), 1U);
    EXPECT_EQ(each->stacks[0].stack, first->instance_id);
  }
}

TEST_F(FirstStartTest, TheFileHasExactlyTheDocumentedKeysAndIsPrivate) {
  const auto first = create();
  ASSERT_TRUE(first);
  const auto json = nlohmann::json::parse(read("first-start.json"));
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"url", "instance_id", "admin_user", "admin_password",
                                         "write_token", "read_token", "admin_token"}));
  EXPECT_EQ(json["url"], "http://localhost:9490");
  EXPECT_EQ(json["instance_id"], 1'000'000);
  EXPECT_EQ(json["write_token"], first->write_token);
  struct stat status{};
  ASSERT_EQ(stat((path_ / "first-start.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(FirstStartTest, NothingSecretIsInTheDatabase) {
  if (db_->is_shared()) GTEST_SKIP() << "the same rows as in SQLite's file, which is searched here";
  const auto first = create();
  ASSERT_TRUE(first);
  const std::string bytes = read("gantry.db") + read("gantry.db-wal");
  ASSERT_GT(bytes.size(), 4096U);
  EXPECT_NE(bytes.find("first-write"), std::string::npos) << "the rows are in these bytes";
  for (const std::string& secret :
       {first->write_token, first->read_token, first->admin_token, first->admin_password})
    EXPECT_EQ(bytes.find(secret), std::string::npos);
}

TEST_F(FirstStartTest, TheAdminCanSignIn) {
  const auto first = create();
  ASSERT_TRUE(first);
  auto tx = db_->begin_read();
  ASSERT_TRUE(tx);
  auto select = tx->prepare(
      "SELECT u.password_hash, u.is_super_admin, m.role FROM users u JOIN memberships m ON "
      "m.user_id = u.id WHERE u.login = 'admin'");
  ASSERT_TRUE(select && select->step().value_or(false));
  PasswordHasher passwords({});
  EXPECT_TRUE(*passwords.verify(first->admin_password, std::string(select->text(0))));
  EXPECT_EQ(select->integer(1), 1);
  EXPECT_EQ(select->text(2), "admin");
}

TEST_F(FirstStartTest, HappensOnce) {
  ASSERT_TRUE(create());
  EXPECT_FALSE(create());
}

TEST_F(FirstStartTest, AFileLeftByACrashBeforeTheCommitIsReplaced) {
  ASSERT_TRUE(write_private_file(path_ / "first-start.json", "{}"));
  const auto first = create();
  ASSERT_TRUE(first);
  EXPECT_NE(read("first-start.json").find(first->admin_token), std::string::npos);
}

TEST_F(FirstStartTest, TheKeyIsMadeOnceAndThenRequired) {
  const auto made = open_secret_key(path_, *directory_);
  ASSERT_TRUE(made) << made.error().message;
  const auto again = open_secret_key(path_, *directory_);
  ASSERT_TRUE(again);
  EXPECT_EQ(made->peppers[0].bytes, again->peppers[0].bytes);
  ASSERT_TRUE(create());
  std::filesystem::remove(path_ / "secret.key");
  const auto lost = open_secret_key(path_, *directory_);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::FailedPrecondition);
  EXPECT_NE(lost.error().message.find("restore it from its backup"), std::string::npos);
}

}  // namespace
}  // namespace gantry::access
