#include "access/secrets/keyring_source.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gantry::access {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

class KeyringSourceTest : public testing::Test {
 protected:
  KeyringSourceTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "gantry-keyring-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }

  ~KeyringSourceTest() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] KeyringSource file() const { return find_keyring(directory_, {}); }

  std::filesystem::path directory_;
};

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status{};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status.st_mode & 07777U;
}

TEST_F(KeyringSourceTest, AFileIsMadePrivateAndReadBack) {
  const Keyring made = Keyring::make("k1");
  ASSERT_TRUE(create_keyring(file(), made));
  EXPECT_EQ(mode_of(directory_ / "keyring.json"), 0600U);
  const auto read = read_keyring(file());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->active().bytes.view(), made.active().bytes.view());
  const auto again = create_keyring(file(), Keyring::make("k1"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::AlreadyExists);
}

TEST_F(KeyringSourceTest, AMissingFileIsNotFound) {
  const auto read = read_keyring(file());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::NotFound);
}

TEST_F(KeyringSourceTest, AFileThatOthersMayReadIsRefused) {
  ASSERT_TRUE(create_keyring(file(), Keyring::make("k1")));
  for (const auto mode : {0640U, 0604U, 0620U}) {
    ASSERT_EQ(::chmod(file().path.c_str(), mode), 0);
    const auto read = read_keyring(file());
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Code::PermissionDenied);
    EXPECT_EQ(read.error().message,
              fmt::format("{} has mode {:04o}, others than its owner may use it: chmod 600",
                          file().path.string(), mode));
  }
}

TEST_F(KeyringSourceTest, AFileOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  ASSERT_TRUE(create_keyring(file(), Keyring::make("k1")));
  ASSERT_EQ(::chown(file().path.c_str(), 12345, 12345), 0);
  const auto read = read_keyring(file());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message,
            file().path.string() + " belongs to user 12345, this process is user 0: chown it");
}

TEST_F(KeyringSourceTest, RootMakesFilesForTheOwnerOfTheDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  ASSERT_EQ(::chown(directory_.c_str(), 12345, 12345), 0);
  ASSERT_TRUE(create_keyring(file(), Keyring::make("k1")));
  ASSERT_TRUE(replace_keyring(file(), Keyring::make("k2")));
  struct stat status{};
  ASSERT_EQ(stat(file().path.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 12345U);
  EXPECT_TRUE(read_keyring(file()));
}

TEST_F(KeyringSourceTest, ReplacingLeavesOneFile) {
  ASSERT_TRUE(create_keyring(file(), Keyring::make("k1")));
  // What an interrupted one has left.
  std::ofstream(directory_ / "keyring.json.next") << "half";
  ASSERT_TRUE(replace_keyring(file(), Keyring::make("k2")));
  EXPECT_EQ(read_keyring(file())->active().id, "k2");
  EXPECT_EQ(mode_of(file().path), 0600U);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory_))
    ++files;
  EXPECT_EQ(files, 1U);
}

TEST_F(KeyringSourceTest, DamageNamesTheFileAndShowsNothing) {
  std::ofstream(directory_ / "keyring.json") << R"({"active":"k1","keys":{"k1":"hunter2"}})";
  ASSERT_EQ(::chmod(file().path.c_str(), 0600), 0);
  const auto read = read_keyring(file());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message,
            file().path.string() + ": key \"k1\" is not the base64 of 32 bytes");
}

TEST_F(KeyringSourceTest, TheVariableComesFirst) {
  const Keyring made = Keyring::make("k7");
  const Variables json = {{"GANTRY_MASTER_KEY", std::string(made.format().view())}};
  const KeyringSource source = find_keyring(directory_, json);
  EXPECT_EQ(source.name(), "GANTRY_MASTER_KEY");
  EXPECT_EQ(read_keyring(source)->active().id, "k7");
  const Variables one = {{"GANTRY_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}};
  EXPECT_EQ(read_keyring(find_keyring(directory_, one))->active().id, "env");
  const Variables bad = {{"GANTRY_MASTER_KEY", "hunter2"}};
  EXPECT_EQ(read_keyring(find_keyring(directory_, bad)).error().message,
            "GANTRY_MASTER_KEY: not the base64 of 32 bytes");
  const auto created = create_keyring(source, made);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().message,
            "the keyring comes from GANTRY_MASTER_KEY, which is changed where it is made");
  EXPECT_EQ(find_keyring(directory_, Variables{{"GANTRY_MASTER_KEY", ""}}).kind,
            KeyringSource::Kind::File);
}

TEST_F(KeyringSourceTest, ACredentialComesBeforeTheFile) {
  const auto credentials = directory_ / "credentials";
  std::filesystem::create_directory(credentials);
  const Variables variables = {{"CREDENTIALS_DIRECTORY", credentials.string()}};
  EXPECT_EQ(find_keyring(directory_, variables).kind, KeyringSource::Kind::File)
      << "there are others than ours";
  std::ofstream(credentials / "keyring.json") << Keyring::make("k3").format().view();
  ASSERT_EQ(::chmod((credentials / "keyring.json").c_str(), 0440), 0);
  const KeyringSource source = find_keyring(directory_, variables);
  EXPECT_EQ(source.kind, KeyringSource::Kind::Credential);
  const auto read = read_keyring(source);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->active().id, "k3");
}

TEST_F(KeyringSourceTest, TheOneInUseFollowsItsFile) {
  const Keyring first = Keyring::make("k1");
  LiveKeyring live(file(), std::nullopt);
  EXPECT_EQ(live.current(), nullptr);
  const auto none = live.find("k1");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::FailedPrecondition);
  EXPECT_EQ(none.error().message,
            "there is no " + file().path.string() +
                " to seal secrets with: gantry keyring init makes one, or copy it from another "
                "replica");
  ASSERT_TRUE(create_keyring(file(), first));
  ASSERT_TRUE(live.find("k1"));
  ASSERT_TRUE(replace_keyring(file(), first.with_new_key("k2")));
  EXPECT_EQ(live.current()->active().id, "k1") << "not read before it is needed";
  ASSERT_TRUE(live.find("k2"));
  EXPECT_EQ(live.current()->active().id, "k2");
  const auto missing = live.find("k3");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "sealed with key \"k3\", which is not in " +
                                         file().path.string() +
                                         ": restore it from a backup or copy it from another "
                                         "replica");
}

}  // namespace
}  // namespace gantry::access
