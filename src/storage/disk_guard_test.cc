#include "storage/disk_guard.h"

#include <gtest/gtest.h>

#include "core/hash.h"
#include "storage/faulty_file_system.h"

namespace gantry::storage {
namespace {

class DiskGuardTest : public testing::Test {
 protected:
  static constexpr DiskGuard::Options kOptions{
      .floor_bytes = 100, .resume_bytes = 200, .check_interval = {1000}};

  bool accepts_with(std::uint64_t available) {
    files_.set_capacity(available);
    clock_.advance({1000});
    return guard_.accepts_writes();
  }

  FaultyFileSystem files_;
  ManualClock clock_{{1'000'000}};
  DiskGuard guard_{files_, clock_, "/", kOptions};
};

TEST_F(DiskGuardTest, StopsBelowTheFloorAndResumesAtTheMark) {
  EXPECT_TRUE(accepts_with(1000));
  EXPECT_TRUE(accepts_with(100)) << "the floor itself is enough";
  EXPECT_FALSE(accepts_with(99));
  EXPECT_FALSE(accepts_with(199)) << "between the marks it stays as it was";
  EXPECT_TRUE(accepts_with(200));
  EXPECT_TRUE(accepts_with(150));
}

TEST_F(DiskGuardTest, SaysWhyAndWhichSetting) {
  EXPECT_FALSE(accepts_with(50));
  const auto refused = guard_.check();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unavailable);
  EXPECT_NE(refused.error().message.find("50 bytes free"), std::string::npos);
  EXPECT_NE(refused.error().message.find("storage.disk_free_min"), std::string::npos);
  EXPECT_EQ(guard_.available_bytes(), 50U);
}

TEST_F(DiskGuardTest, AsksOncePerInterval) {
  EXPECT_TRUE(accepts_with(1000));
  const auto asked = files_.operation_count(FaultyFileSystem::Operation::AvailableBytes);
  clock_.advance({999});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(guard_.accepts_writes());
  EXPECT_EQ(files_.operation_count(FaultyFileSystem::Operation::AvailableBytes), asked);
  clock_.set({0});
  EXPECT_TRUE(guard_.accepts_writes());
  EXPECT_EQ(files_.operation_count(FaultyFileSystem::Operation::AvailableBytes), asked + 1)
      << "a clock that was set back does not blind it";
}

TEST_F(DiskGuardTest, AFullDiskStopsWritesAtOnce) {
  EXPECT_TRUE(accepts_with(1000));
  guard_.note_disk_full();
  EXPECT_FALSE(guard_.accepts_writes());
  EXPECT_FALSE(accepts_with(150));
  EXPECT_TRUE(accepts_with(1000));
}

TEST_F(DiskGuardTest, OtherMarksHoldAtOnce) {
  EXPECT_TRUE(accepts_with(1000));
  guard_.reconfigure({.floor_bytes = 5000, .resume_bytes = 6000, .check_interval = {1000}});
  EXPECT_FALSE(guard_.accepts_writes());
  guard_.reconfigure(kOptions);
  EXPECT_TRUE(guard_.accepts_writes());
}

TEST_F(DiskGuardTest, AnUnknownAmountDoesNotStopWrites) {
  files_.inject({.operation = FaultyFileSystem::Operation::AvailableBytes,
                 .fault = FaultyFileSystem::Fault::IoError,
                 .hit_count = 100});
  EXPECT_TRUE(guard_.check());
}

}  // namespace
}  // namespace gantry::storage
