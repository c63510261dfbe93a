#include "access/first_start.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "access/audit.h"
#include "access/authenticator.h"
#include "access/control_plane.h"
#include "access/password.h"
#include "access/testing/directory_fixture.h"

namespace gantry::access {
namespace {

constexpr std::string_view kUrl = "http://localhost:9490";

/// The control plane of one process.
struct Process {
  Process(state::Db& the_db, const TokenHasher& hasher, const Clock& clock)
      : db(the_db),
        audit(db, clock, registry, {}),
        directory(db),
        authenticator(directory, hasher, clock, registry, {}),
        plane{.db = db,
              .audit = audit,
              .authenticator = authenticator,
              .hasher = hasher,
              .clock = clock,
              .rules = {.zone = "far"}} {}

  Result<std::optional<FirstStart>> start(const std::filesystem::path& data) {
    return create_first_stack(data, directory, plane, kUrl);
  }

  state::Db& db;
  core::MetricRegistry registry;
  AuditLog audit;
  Directory directory;
  Authenticator authenticator;
  ControlPlane plane;
};

class FirstStartTest : public DirectoryFixture {
 protected:
  std::optional<FirstStart> create() {
    auto first = process_.start(path_);
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

  Process process_{*db_, hasher_, clock_};
};

TEST_F(FirstStartTest, MakesOneStackWithThreeTokens) {
  const auto first = create();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->instance_id, StackId(1'000'000));
  const auto stacks = directory_->list_stacks();
  ASSERT_TRUE(stacks);
  ASSERT_EQ(stacks->size(), 1U);
  EXPECT_EQ(stacks->front().slug, "main");
  EXPECT_EQ(stacks->front().zone, "far") << "the server's";

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

TEST_F(FirstStartTest, LeavesAuditEventsLikeEveryOtherChange) {
  const auto first = create();
  ASSERT_TRUE(first);
  const auto records = process_.audit.read({});
  ASSERT_TRUE(records);
  std::vector<std::string> acts;
  for (auto it = records->rbegin(); it != records->rend(); ++it) {
    acts.push_back(it->event.event + " " + it->event.target.name);
    EXPECT_EQ(it->event.actor.type, Actor::Type::System);
    EXPECT_TRUE(it->event.org);
    for (const AuditChange& change : it->event.changes)
      for (const std::string& secret : {first->admin_password, first->admin_token})
        EXPECT_EQ(change.after.find(secret), std::string::npos);
  }
  EXPECT_EQ(acts, (std::vector<std::string>{
                      "org.created main", "stack.created main", "user.created admin",
                      "accesspolicy.created write", "token.created first-write",
                      "accesspolicy.created read", "token.created first-read",
                      "accesspolicy.created admin", "token.created first-admin"}));
}

TEST_F(FirstStartTest, AStartThatFailsLeavesNothing) {
  std::filesystem::create_directory(path_ / "first-start.json");
  ASSERT_TRUE(write_private_file(path_ / "first-start.json" / "in-the-way", "x"));
  EXPECT_FALSE(process_.start(path_));
  EXPECT_TRUE(*directory_->is_empty());
  EXPECT_TRUE(process_.audit.read({})->empty());
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

/// A second process with a data directory of its own on the same database.
class ReplicaTest : public FirstStartTest {
 protected:
  ReplicaTest() {
    auto db = database_.open(state::migrations());
    EXPECT_TRUE(db) << (db ? "" : db.error().message);
    replica_db_ = *std::move(db);
    replica_.emplace(*replica_db_);
    replica_process_ = std::make_unique<Process>(*replica_db_, hasher_, clock_);
    std::filesystem::create_directories(replica_path_);
  }

  void copy_key() {
    std::filesystem::copy_file(path_ / "secret.key", replica_path_ / "secret.key");
  }

  std::filesystem::path replica_path_ = path_ / "replica";
  std::unique_ptr<state::Db> replica_db_;
  std::optional<Directory> replica_;
  std::unique_ptr<Process> replica_process_;
};

TEST_F(ReplicaTest, FindsTheFirstStartDone) {
  EXPECT_FALSE(*find_first_start(*replica_));
  ASSERT_TRUE(create());
  const auto second = replica_process_->start(replica_path_);
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  EXPECT_FALSE(std::filesystem::exists(replica_path_ / "first-start.json"));
  const auto place = find_first_start(*replica_);
  ASSERT_TRUE(place && *place);
  EXPECT_EQ((*place)->file, (path_ / "first-start.json").string());
  EXPECT_FALSE((*place)->host.empty());
}

TEST_F(ReplicaTest, OfTwoThatStartAtOnceOneMakesTheFirstStack) {
  std::atomic<int> created = 0;
  std::atomic<int> failures = 0;
  const auto start = [&](const std::filesystem::path& path, Process& process) {
    const auto first = process.start(path);
    if (!first) ++failures;
    if (first && *first) ++created;
  };
  {
    const std::jthread one([&] { start(path_, process_); });
    const std::jthread two([&] { start(replica_path_, *replica_process_); });
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(failures, 0);
  EXPECT_NE(std::filesystem::exists(path_ / "first-start.json"),
            std::filesystem::exists(replica_path_ / "first-start.json"));
}

TEST_F(ReplicaTest, NeedsTheSameKeyBeforeThereIsAnyToken) {
  const auto made = open_secret_key(path_, *directory_);
  ASSERT_TRUE(made) << made.error().message;
  const auto without = open_secret_key(replica_path_, *replica_);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, Code::FailedPrecondition);
  EXPECT_NE(without.error().message.find("secret.key is missing"), std::string::npos);
  EXPECT_EQ(
      without.error().message.find("copy secret.key from another replica") != std::string::npos,
      replica_db_->is_shared());
  EXPECT_FALSE(std::filesystem::exists(replica_path_ / "secret.key")) << "none was made";
  copy_key();
  const auto with = open_secret_key(replica_path_, *replica_);
  ASSERT_TRUE(with) << with.error().message;
  EXPECT_EQ(with->peppers[0].bytes, made->peppers[0].bytes);
}

TEST_F(ReplicaTest, AnotherDatabasesKeyIsRefused) {
  ASSERT_TRUE(open_secret_key(path_, *directory_));
  ASSERT_TRUE(create_secret_key(replica_path_ / "secret.key"));
  const auto wrong = open_secret_key(replica_path_, *replica_);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::FailedPrecondition);
  EXPECT_NE(wrong.error().message.find("is not the key of the tokens in " + replica_db_->name()),
            std::string::npos)
      << wrong.error().message;
}

TEST_F(ReplicaTest, AKeyWithANewPepperBesideTheOldIsTheSameKey) {
  auto key = open_secret_key(path_, *directory_);
  ASSERT_TRUE(key);
  const auto write_key = [&](const SecretKey& content) {
    std::filesystem::remove(replica_path_ / "secret.key");
    ASSERT_TRUE(write_private_file(replica_path_ / "secret.key", format_secret_key(content)));
  };
  const Pepper fresh{.id = 2, .bytes = {42}};
  write_key({.peppers = {fresh}});
  EXPECT_FALSE(open_secret_key(replica_path_, *replica_)) << "nothing of the old key";
  write_key({.peppers = {fresh, key->peppers[0]}});
  EXPECT_TRUE(open_secret_key(replica_path_, *replica_));
  write_key({.peppers = {fresh}});
  EXPECT_TRUE(open_secret_key(replica_path_, *replica_)) << "known by now";
  write_key({.peppers = {Pepper{.id = 2, .bytes = {43}}, key->peppers[0]}});
  EXPECT_FALSE(open_secret_key(replica_path_, *replica_)) << "another pepper of that number";
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
