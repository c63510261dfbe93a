#include "server/stack_host.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

#include "access/authenticator.h"

namespace gantry::server {
namespace {

constexpr StackId kFirst{1'000'000};
constexpr StackId kGames{1'000'001};

access::Stack stack(StackId id, std::uint64_t active_series_max = 0) {
  access::Stack stack{.id = id, .slug = "stack-" + std::to_string(id.value())};
  stack.settings.active_series_max = active_series_max;
  return stack;
}

class StackHostTest : public testing::Test {
 protected:
  StackHostTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "gantry-stacks-XXXXXX").string();
    data_ = ::mkdtemp(pattern.data());
    guard_ = std::make_unique<storage::DiskGuard>(
        files_, clock_, data_, storage::DiskGuard::Options{.floor_bytes = 1, .resume_bytes = 1});
    stacks_ = std::make_unique<OpenStacks>(
        OpenStacks::Environment{.data = data_,
                                .files = files_,
                                .clock = clock_,
                                .registry = registry_,
                                .workers = workers_,
                                .disk_guard = *guard_,
                                .stores = stores_,
                                .options = [] { return metrics::StoreOptions(); },
                                .trace_options = [] { return traces::StoreOptions(); },
                                .derived = derived_,
                                .span_metrics = [] { return true; },
                                .delta_streams_max = 10});
  }

  ~StackHostTest() override {
    EXPECT_TRUE(stores_.close());
    std::filesystem::remove_all(data_);
  }

  bool follow(const std::vector<access::Stack>& living, const std::vector<StackId>& deleted = {}) {
    const auto followed = stacks_->follow(living, deleted, stacks_->change_count());
    EXPECT_TRUE(followed) << (followed ? "" : followed.error().message);
    return followed.value_or(false);
  }

  [[nodiscard]] bool has_data(StackId id) const {
    return std::filesystem::exists(data_ / "stacks" / std::to_string(id.value()));
  }

  [[nodiscard]] bool is_set_aside(StackId id) const {
    return std::filesystem::exists(data_ / "deleted-stacks" / std::to_string(id.value()));
  }

  /// StackStores::remove: a store that is open, which the test then owns.
  bool is_served(StackId id) {
    auto store = stores_.remove(id);
    if (!store.metrics) return false;
    stores_.add(id, std::move(store));
    return true;
  }

  std::filesystem::path data_;
  storage::PosixFileSystem files_;
  SystemClock clock_;
  core::MetricRegistry registry_;
  DerivedMetrics derived_{{}, registry_, clock_};
  core::WorkerPool workers_{{}};
  std::unique_ptr<storage::DiskGuard> guard_;
  access::StackStores stores_;
  std::unique_ptr<OpenStacks> stacks_;
};

TEST_F(StackHostTest, FollowsWhatTheDatabaseSays) {
  EXPECT_TRUE(follow({stack(kFirst), stack(kGames)}));
  EXPECT_TRUE(is_served(kFirst));
  EXPECT_TRUE(is_served(kGames));
  EXPECT_TRUE(follow({stack(kFirst), stack(kGames)})) << "a second time changes nothing";
  EXPECT_TRUE(follow({stack(kFirst)}, {kGames}));
  EXPECT_FALSE(is_served(kGames));
  EXPECT_TRUE(is_served(kFirst));
  EXPECT_FALSE(has_data(kGames));
  EXPECT_TRUE(is_set_aside(kGames));
}

TEST_F(StackHostTest, LeavesAStackAloneThatIsBeingMade) {
  ASSERT_TRUE(stacks_->open(stack(kGames)));
  EXPECT_TRUE(follow({}));
  EXPECT_TRUE(is_served(kGames)) << "it is not committed, so nobody else knows it";
  EXPECT_TRUE(follow({stack(kGames)})) << "now it is";
}

TEST_F(StackHostTest, DoesNotUndoWhatWasDoneSinceTheReading) {
  ASSERT_TRUE(stacks_->open(stack(kGames)));
  const std::uint64_t before = stacks_->change_count();
  const std::vector<access::Stack> living = {stack(kGames)};
  stacks_->retire(kGames);
  const auto followed = stacks_->follow(living, {}, before);
  ASSERT_TRUE(followed);
  EXPECT_FALSE(*followed);
  EXPECT_FALSE(is_served(kGames));
  EXPECT_TRUE(follow({}, {kGames})) << "the next reading";
  EXPECT_FALSE(has_data(kGames));
}

TEST_F(StackHostTest, AStackWhoseStoresDoNotOpenDoesNotHoldUpTheOthers) {
  std::filesystem::create_directories(data_ / "stacks");
  std::filesystem::create_symlink("/dev/null", data_ / "stacks" / "1000000");
  const std::vector<access::Stack> living = {stack(kFirst), stack(kGames)};
  EXPECT_FALSE(stacks_->follow(living, {}, stacks_->change_count()));
  EXPECT_FALSE(is_served(kFirst));
  EXPECT_TRUE(is_served(kGames));
  std::filesystem::remove(data_ / "stacks" / "1000000");
  EXPECT_TRUE(follow(living));
  EXPECT_TRUE(is_served(kFirst));
}

TEST_F(StackHostTest, AnIdThatWasNeverCommittedHereMayBeGivenElsewhere) {
  ASSERT_TRUE(stacks_->open(stack(kGames)));
  stacks_->retire(kGames);
  EXPECT_TRUE(follow({stack(kGames)}));
  EXPECT_TRUE(is_served(kGames));
}

}  // namespace
}  // namespace gantry::server
