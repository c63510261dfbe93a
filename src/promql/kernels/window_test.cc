#include "promql/kernels/window.h"

#include <array>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::promql::kernels {
namespace {

TEST(Windows, AreOpenOnTheLeftAndClosedOnTheRight) {
  const std::vector<std::int64_t> times{0, 10, 20, 30};
  std::array<Window, 2> windows{};
  build_windows(times, {.first_end_ms = 20, .step_ms = 10, .range_ms = 20}, windows);
  EXPECT_EQ(windows[0], (Window{.begin = 1, .end = 3}));  // 0 is exactly the range old.
  EXPECT_EQ(windows[1], (Window{.begin = 2, .end = 4}));
}

TEST(Windows, AreEmptyBeforeBetweenAndAfterTheSamples) {
  const std::vector<std::int64_t> times{100, 1000};
  std::array<Window, 4> windows{};
  build_windows(times, {.first_end_ms = 0, .step_ms = 600, .range_ms = 50}, windows);
  for (const Window window : windows) EXPECT_EQ(window.size(), 0u);
}

TEST(Windows, RepeatWhereTheStepIsZero) {
  const std::vector<std::int64_t> times{1, 2, 3};
  std::array<Window, 3> windows{};
  build_windows(times, {.first_end_ms = 2, .step_ms = 0, .range_ms = 2}, windows);
  for (const Window window : windows) EXPECT_EQ(window, (Window{.begin = 0, .end = 2}));
}

TEST(Windows, NegativeTimesAreTimes) {
  const std::vector<std::int64_t> times{-30, -20, -10};
  std::array<Window, 1> windows{};
  build_windows(times, {.first_end_ms = -15, .step_ms = 1, .range_ms = 10}, windows);
  EXPECT_EQ(windows[0], (Window{.begin = 1, .end = 2}));
}

TEST(Bitmap, SetsClearsAndTestsAcrossWords) {
  std::array<std::uint64_t, 2> bits{};
  set_bit(bits, 63);
  set_bit(bits, 64);
  EXPECT_TRUE(test_bit(bits, 63) && test_bit(bits, 64));
  EXPECT_FALSE(test_bit(bits, 62) || test_bit(bits, 65));
  clear_bit(bits, 63);
  EXPECT_FALSE(test_bit(bits, 63));
  EXPECT_EQ(bitmap_words(64), 1u);
  EXPECT_EQ(bitmap_words(65), 2u);
  EXPECT_EQ(bitmap_words(0), 0u);
}

RC_GTEST_PROP(Windows, EqualAScanOfAllSamples, ()) {
  std::vector<std::int64_t> times;
  std::int64_t time = *rc::gen::inRange(-100, 100);
  for (const int gap : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 30))) {
    times.push_back(time += gap);
  }
  const WindowGrid grid{.first_end_ms = *rc::gen::inRange(-150, 300),
                        .step_ms = *rc::gen::inRange(0, 40),
                        .range_ms = *rc::gen::inRange(1, 120)};
  std::vector<Window> windows(*rc::gen::inRange<std::size_t>(0, 70));
  build_windows(times, grid, windows);
  for (std::size_t step = 0; step < windows.size(); ++step) {
    for (std::uint32_t i = 0; i < times.size(); ++i) {
      const bool is_inside = times[i] > grid.start_ms(step) && times[i] <= grid.end_ms(step);
      RC_ASSERT((i >= windows[step].begin && i < windows[step].end) == is_inside);
    }
    RC_ASSERT(windows[step].begin <= windows[step].end);
  }
}

}  // namespace
}  // namespace gantry::promql::kernels
