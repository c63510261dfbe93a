#include "storage/checksummed_file.h"

#include <cstring>
#include <string>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "core/hash.h"
#include "storage/directory.h"
#include "storage/faulty_file_system.h"

namespace gantry::storage {
namespace {

constexpr FileFormat kFormat{.magic = "GANTRYTT", .version = 3};

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write_frames(FileSystem& files, const std::vector<std::string>& texts, int level) {
  auto writer = FrameWriter::create(files, "/f", kFormat);
  ASSERT_TRUE(writer) << writer.error().message;
  for (const std::string& text : texts) ASSERT_TRUE((*writer)->add(core::as_bytes(text), level));
  ASSERT_TRUE((*writer)->finish(core::as_bytes("footer")));
  ASSERT_TRUE(files.sync_directory("/"));
}

TEST(ChecksummedFileTest, FramesComeBackWhateverOrderTheyWereWrittenIn) {
  FaultyFileSystem files;
  auto writer = FrameWriter::create(files, "/f", kFormat);
  ASSERT_TRUE(writer);
  const std::uint32_t early = (*writer)->reserve();
  EXPECT_EQ((*writer)->add(core::as_bytes("second"), 0).value(), 1U);
  ASSERT_TRUE((*writer)->write(early, core::as_bytes("first"), 0));
  EXPECT_EQ((*writer)->add({}, 1).value(), 2U);
  ASSERT_TRUE((*writer)->finish(core::as_bytes("end")));
  ASSERT_TRUE(files.sync_directory("/"));
  files.cut_power();
  const auto reader = FrameReader::open(files, "/f", kFormat);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ((*reader)->version(), 3U);
  EXPECT_EQ((*reader)->frame_count(), 3U);
  EXPECT_EQ((*reader)->size_bytes(), (*writer)->size_bytes());
  EXPECT_EQ(text_of((*reader)->footer()), "end");
  EXPECT_EQ(text_of((*reader)->read(0).value()), "first");
  EXPECT_EQ(text_of((*reader)->read(1).value()), "second");
  EXPECT_EQ(text_of((*reader)->read(2).value()), "");
  EXPECT_EQ((*reader)->read(3).error().code, Code::DataLoss);
}

TEST(ChecksummedFileTest, CompressesWhereItPays) {
  FaultyFileSystem files;
  std::string noise(5000, ' ');
  std::uint64_t state = 7;
  for (char& c : noise) c = static_cast<char>((state = state * 6364136223846793005ULL + 1) >> 56);
  const std::string calm(2 << 20, 'a');
  write_frames(files, {noise, calm}, 1);
  const auto reader = FrameReader::open(files, "/f", kFormat);
  ASSERT_TRUE(reader);
  EXPECT_LT((*reader)->size_bytes(), 6000U);
  EXPECT_GT((*reader)->size_bytes(), 5000U);
  EXPECT_EQ(text_of((*reader)->read(0).value()), noise);
  EXPECT_EQ(text_of((*reader)->read(1).value()), calm);
}

TEST(ChecksummedFileTest, ANewerFormatIsRefusedByName) {
  FaultyFileSystem files;
  write_frames(files, {"a"}, 0);
  const auto reader = FrameReader::open(files, "/f", {.magic = kFormat.magic, .version = 2});
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, Code::FailedPrecondition);
  EXPECT_EQ(FrameReader::open(files, "/f", {.magic = "GANTRYXX"}).error().code, Code::DataLoss);
}

TEST(ChecksummedFileTest, EveryFlippedBitIsNoticed) {
  FaultyFileSystem files;
  const std::vector<std::string> texts = {std::string(300, 'x'), "abc"};
  write_frames(files, texts, 1);
  const auto size = read_file(files, "/f", 1 << 20)->size();
  for (std::size_t offset = 0; offset < size; ++offset) {
    ASSERT_TRUE(files.corrupt("/f", offset, static_cast<std::uint8_t>(offset)));
    const auto reader = FrameReader::open(files, "/f", kFormat);
    bool is_noticed = !reader;
    for (std::uint32_t frame = 0; reader && frame < texts.size(); ++frame) {
      const auto bytes = (*reader)->read(frame);
      if (!bytes) {
        EXPECT_EQ(bytes.error().code, Code::DataLoss);
        is_noticed = true;
      }
    }
    EXPECT_TRUE(is_noticed) << offset;
    ASSERT_TRUE(files.corrupt("/f", offset, static_cast<std::uint8_t>(offset)));
  }
}

TEST(ChecksummedFileTest, EveryCutIsNoticed) {
  FaultyFileSystem files;
  write_frames(files, {"some bytes", "and more"}, 0);
  const auto bytes = read_file(files, "/f", 1 << 20);
  for (std::size_t length = 0; length < bytes->size(); ++length) {
    ASSERT_TRUE(write_file_atomically(files, "/cut", std::span(*bytes).first(length)));
    const auto reader = FrameReader::open(files, "/cut", kFormat);
    ASSERT_FALSE(reader) << length;
    EXPECT_EQ(reader.error().code, Code::DataLoss);
  }
}

TEST(ChecksummedFileTest, AFailedWriteOrSyncIsReported) {
  for (const auto operation :
       {FaultyFileSystem::Operation::Write, FaultyFileSystem::Operation::Sync}) {
    FaultyFileSystem files;
    files.inject({.operation = operation, .fault = FaultyFileSystem::Fault::DiskFull});
    auto writer = FrameWriter::create(files, "/f", kFormat);
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->add(core::as_bytes("x"), 0));
    const auto finished = (*writer)->finish({});
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code, Code::ResourceExhausted);
  }
}

RC_GTEST_PROP(ChecksummedFileProperty, RoundTrip, (std::vector<std::string> texts)) {
  FaultyFileSystem files;
  write_frames(files, texts, *rc::gen::inRange(0, 4));
  const auto reader = FrameReader::open(files, "/f", kFormat);
  RC_ASSERT(reader.has_value());
  for (std::uint32_t i = 0; i < texts.size(); ++i) {
    RC_ASSERT(text_of((*reader)->read(i).value()) == texts[i]);
  }
}

}  // namespace
}  // namespace gantry::storage
