#include "storage/file.h"

#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hash.h"
#include "storage/directory.h"
#include "storage/faulty_file_system.h"
#include "storage/testing/temporary_directory.h"

namespace gantry::storage {
namespace {

using Operation = FaultyFileSystem::Operation;
using Fault = FaultyFileSystem::Fault;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string read_text(FileSystem& files, const Path& path) {
  const auto bytes = read_file(files, path, 1 << 20);
  return bytes ? text_of(*bytes) : "error: " + bytes.error().message;
}

/// Both file systems hold to the same contract.
class FileSystemTest : public testing::TestWithParam<bool> {
 protected:
  FileSystem& files() { return GetParam() ? static_cast<FileSystem&>(posix_) : faulty_; }

  Path root() { return GetParam() ? temporary_.path() : Path("/"); }

 private:
  TemporaryDirectory temporary_;
  PosixFileSystem posix_;
  FaultyFileSystem faulty_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, FileSystemTest, testing::Bool(), [](const auto& kind) {
  return std::string(kind.param ? "Posix" : "Faulty");
});

TEST_P(FileSystemTest, ReadsWhatWasWritten) {
  auto file = files().open(root() / "a", OpenMode::Create);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE((*file)->write_at(0, core::as_bytes("hello world")));
  ASSERT_TRUE((*file)->write_at(6, core::as_bytes("there")));
  ASSERT_TRUE((*file)->preallocate(1 << 16));
  EXPECT_EQ((*file)->size().value(), 11U) << "preallocation does not change the size";
  ASSERT_TRUE((*file)->sync_data());
  EXPECT_EQ(read_text(files(), root() / "a"), "hello there");
  ASSERT_TRUE((*file)->truncate(5));
  EXPECT_EQ(read_text(files(), root() / "a"), "hello");
  std::vector<std::byte> into(10);
  EXPECT_EQ((*file)->read_at(3, into).value(), 2U);
  EXPECT_EQ((*file)->read_at(30, into).value(), 0U);
  const auto missing = read_exactly(**file, 3, into, "a");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::DataLoss);
}

TEST_P(FileSystemTest, OpenModesSayWhatMustExist) {
  const auto missing = files().open(root() / "a", OpenMode::ReadWrite);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::NotFound);
  EXPECT_NE(missing.error().message.find("a\""), std::string::npos);
  ASSERT_TRUE(files().open(root() / "a", OpenMode::Create));
  const auto taken = files().open(root() / "a", OpenMode::Create);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::AlreadyExists);
  EXPECT_TRUE(files().open(root() / "a", OpenMode::Read));
}

TEST_P(FileSystemTest, ListsRenamesAndRemoves) {
  ASSERT_TRUE(files().create_directories(root() / "d" / "e"));
  ASSERT_TRUE(write_file_atomically(files(), root() / "d" / "x", core::as_bytes("xx")));
  ASSERT_TRUE(files().rename(root() / "d" / "x", root() / "d" / "b"));
  const auto entries = files().list(root() / "d");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ((*entries)[0].name, "b");
  EXPECT_EQ((*entries)[0].size_bytes, 2U);
  EXPECT_TRUE((*entries)[1].is_directory);
  EXPECT_FALSE(files().remove(root() / "d")) << "it is not empty";
  EXPECT_TRUE(files().remove(root() / "d" / "b"));
  EXPECT_EQ(files().remove(root() / "d" / "b").error().code, Code::NotFound);
  EXPECT_TRUE(files().remove_all(root() / "d"));
  EXPECT_TRUE(files().remove_all(root() / "d"));
  EXPECT_FALSE(files().exists(root() / "d").value());
  EXPECT_EQ(files().list(root() / "d").error().code, Code::NotFound);
}

TEST_P(FileSystemTest, KnowsItsFreeSpace) {
  EXPECT_GT(files().available_bytes(root()).value(), 0U);
}

TEST_P(FileSystemTest, ReadFileHasALimit) {
  ASSERT_TRUE(write_file_atomically(files(), root() / "a", core::as_bytes("12345")));
  const auto refused = read_file(files(), root() / "a", 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::TooLarge);
}

TEST_P(FileSystemTest, AtomicWriteReplaces) {
  ASSERT_TRUE(write_file_atomically(files(), root() / "m", core::as_bytes("one")));
  ASSERT_TRUE(write_file_atomically(files(), root() / "m", core::as_bytes("two")));
  EXPECT_EQ(read_text(files(), root() / "m"), "two");
  EXPECT_FALSE(files().exists(root() / "m.tmp").value());
}

TEST_P(FileSystemTest, QuarantineNumbersEqualNames) {
  const Path quarantine = root() / "q" / "inner";
  for (const char* expected : {"part", "part.1", "part.2"}) {
    ASSERT_TRUE(files().create_directories(root() / "part"));
    const auto moved = move_to_quarantine(files(), root() / "part", quarantine);
    ASSERT_TRUE(moved) << moved.error().message;
    EXPECT_EQ(*moved, quarantine / expected);
    EXPECT_FALSE(files().exists(root() / "part").value());
  }
  ASSERT_TRUE(write_file_atomically(files(), root() / "s", core::as_bytes("0123456789")));
  const auto source = files().open(root() / "s", OpenMode::Read);
  const auto copied = copy_to_quarantine(files(), **source, 4, 100, quarantine, "s.4");
  ASSERT_TRUE(copied);
  EXPECT_EQ(read_text(files(), *copied), "456789");
}

TEST_P(FileSystemTest, TemporariesAreRemovedByName) {
  ASSERT_TRUE(files().create_directories(root() / "d" / "p.tmp"));
  ASSERT_TRUE(files().create_directories(root() / "d" / "p"));
  ASSERT_TRUE(remove_temporaries(files(), root() / "d"));
  EXPECT_EQ(files().list(root() / "d")->size(), 1U);
}

TEST(PosixFileSystemTest, TheSecondProcessIsToldWhoHoldsTheLock) {
  const TemporaryDirectory temporary;
  PosixFileSystem files;
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = lock_directory(files, temporary.path() / "data");
    const char answer = lock ? 'y' : 'n';
    static_cast<void>(::write(pipe_ends[1], &answer, 1));
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(pipe_ends[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const auto refused = lock_directory(files, temporary.path() / "data");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  EXPECT_NE(refused.error().message.find("held by pid " + std::to_string(child)), std::string::npos)
      << refused.error().message;
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(lock_directory(files, temporary.path() / "data")) << "the kernel has released it";
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

TEST(FaultyFileSystemTest, ForgetsWhatWasNotSynced) {
  FaultyFileSystem files;
  auto synced = files.open("/synced", OpenMode::Create);
  ASSERT_TRUE((*synced)->write_at(0, core::as_bytes("kept")));
  ASSERT_TRUE((*synced)->sync_data());
  ASSERT_TRUE(files.sync_directory("/"));
  ASSERT_TRUE((*synced)->write_at(4, core::as_bytes(" lost")));
  auto nameless = files.open("/nameless", OpenMode::Create);
  ASSERT_TRUE((*nameless)->write_at(0, core::as_bytes("data")));
  ASSERT_TRUE((*nameless)->sync_data());
  files.cut_power();
  EXPECT_EQ(read_text(files, "/synced"), "kept");
  EXPECT_FALSE(files.exists("/nameless").value()) << "its directory was not synced";
}

TEST(FaultyFileSystemTest, InjectsAtTheNthOperation) {
  FaultyFileSystem files;
  auto file = files.open("/f", OpenMode::Create);
  files.inject({.operation = Operation::Write, .fault = Fault::DiskFull, .skip_count = 1});
  EXPECT_TRUE((*file)->write_at(0, core::as_bytes("a")));
  const auto full = (*file)->write_at(1, core::as_bytes("b"));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::ResourceExhausted);
  EXPECT_TRUE((*file)->write_at(1, core::as_bytes("c")));
  files.inject({.operation = Operation::Write, .fault = Fault::ShortWrite});
  EXPECT_FALSE((*file)->write_at(2, core::as_bytes("0123456789")));
  EXPECT_EQ((*file)->size().value(), 7U);
  files.inject({.operation = Operation::Read, .fault = Fault::BitFlip});
  EXPECT_NE(read_text(files, "/f"), read_text(files, "/f"));
}

TEST(FaultyFileSystemTest, CapacityIsALimitOnAllFilesTogether) {
  FaultyFileSystem files;
  files.set_capacity(10);
  auto a = files.open("/a", OpenMode::Create);
  auto b = files.open("/b", OpenMode::Create);
  EXPECT_TRUE((*a)->write_at(0, core::as_bytes("123456")));
  EXPECT_FALSE((*b)->write_at(0, core::as_bytes("12345")));
  EXPECT_EQ(files.available_bytes("/").value(), 0U) << "what fitted was written";
  EXPECT_TRUE((*a)->write_at(0, core::as_bytes("654321"))) << "overwriting needs no space";
}

/// Every crash leaves the old or the new state.
TEST(DirectoryTest, AtomicWriteSurvivesAFaultAtAnyOperation) {
  bool was_untouched = false;
  for (std::uint64_t skip = 0; !was_untouched; ++skip) {
    FaultyFileSystem files;
    ASSERT_TRUE(write_file_atomically(files, "/m", core::as_bytes("old")));
    files.inject({.operation = Operation::Any, .fault = Fault::IoError, .skip_count = skip});
    const auto before = files.operation_count(Operation::Any);
    const bool is_done = write_file_atomically(files, "/m", core::as_bytes("new")).has_value();
    was_untouched = files.operation_count(Operation::Any) - before <= skip;
    files.clear_injections();
    files.cut_power();
    const std::string text = read_text(files, "/m");
    EXPECT_TRUE(text == "new" || (!is_done && text == "old")) << skip << ": " << text;
  }
}

TEST(DirectoryTest, PublishedDirectoriesAreWholeOrAbsent) {
  bool was_untouched = false;
  for (std::uint64_t skip = 0; !was_untouched; ++skip) {
    FaultyFileSystem files;
    ASSERT_TRUE(make_directories(files, "/parts"));
    files.inject({.operation = Operation::Any, .fault = Fault::IoError, .skip_count = skip});
    const auto before = files.operation_count(Operation::Any);
    const auto publish = [&]() -> Result<void> {
      GANTRY_TRY(const Path temporary, prepare_directory(files, "/parts/p"));
      for (const char* name : {"index", "data"}) {
        GANTRY_TRY(auto file, files.open(temporary / name, OpenMode::Create));
        GANTRY_CHECK(file->write_at(0, core::as_bytes(name)));
      }
      return publish_directory(files, temporary, "/parts/p", FilesSynced::No);
    };
    const bool is_done = publish().has_value();
    was_untouched = files.operation_count(Operation::Any) - before <= skip;
    files.clear_injections();
    files.cut_power();
    const bool exists = files.exists("/parts/p").value();
    EXPECT_TRUE(exists || !is_done) << skip;
    if (!exists) continue;
    EXPECT_EQ(read_text(files, "/parts/p/index"), "index") << skip;
    EXPECT_EQ(read_text(files, "/parts/p/data"), "data") << skip;
  }
}

}  // namespace
}  // namespace gantry::storage
