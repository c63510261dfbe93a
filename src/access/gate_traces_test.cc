#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "access/gate.h"
#include "access/label_policy.h"
#include "access/testing/directory_fixture.h"
#include "access/testing/recording_trace_store.h"

namespace gantry::access {
namespace {

class GateTracesTest : public DirectoryFixture {
 protected:
  GateTracesTest() {
    org_ = add_organisation("main");
    stack_ = add_stack(org_, "main");
    stores_.add(stack_, {.metrics = nullptr, .traces = store_});
  }

  [[nodiscard]] Principal principal(ScopeSet scopes) const {
    return system_principal(org_, stack_, scopes);
  }

  core::MetricRegistry registry_;
  OrgId org_;
  StackId stack_;
  std::shared_ptr<testing::RecordingTraceStore> store_ =
      std::make_shared<testing::RecordingTraceStore>();
  StackStores stores_;
  Authenticator authenticator_{*directory_, hasher_, clock_, registry_, {}};
  Gate gate_{authenticator_, stores_, registry_, {}};
};

TEST_F(GateTracesTest, EachScopeOpensItsOwnCalls) {
  const Principal all = principal({Scope::TracesRead, Scope::TracesWrite, Scope::TracesDelete});
  EXPECT_TRUE(gate_.open(all, Scope::TracesWrite)->append(telemetry::SpanBatch{}));
  EXPECT_TRUE(gate_.open(all, Scope::TracesDelete)->delete_trace({}).value());
  EXPECT_EQ(store_->calls, "append delete ");
  EXPECT_EQ(&gate_.open(all, Scope::TracesRead)->traces_source(), &store_->empty);
}

TEST_F(GateTracesTest, AScopeThatIsNotGrantedIsForbidden) {
  const Principal writer = principal({Scope::TracesWrite});
  EXPECT_EQ(gate_.open(writer, Scope::TracesRead).error().status, 403);
  EXPECT_EQ(gate_.open(writer, Scope::TracesDelete).error().status, 403);
}

TEST_F(GateTracesTest, ViewsOfOneScopeAbortForAnother) {
  const Principal all = principal({Scope::TracesRead, Scope::TracesWrite});
  const auto writer = gate_.open(all, Scope::TracesWrite);
  EXPECT_DEATH(static_cast<void>(writer->traces_source()), "traces:read");
  const auto reader = gate_.open(all, Scope::TracesRead);
  EXPECT_DEATH(static_cast<void>(reader->append(telemetry::SpanBatch{})), "traces:write");
  EXPECT_DEATH(static_cast<void>(reader->delete_trace({})), "traces:delete");
}

TEST_F(GateTracesTest, AStackWithoutAStoreForTheSignalIsNotServed) {
  const auto view = gate_.open(principal({Scope::MetricsRead}), Scope::MetricsRead);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().reason, "stack_not_served");
}

TEST_F(GateTracesTest, RestrictedPrincipalsReadAFilteredSourceAndNothingElse) {
  Principal restricted = principal({Scope::TracesRead, Scope::TracesWrite, Scope::TracesDelete});
  restricted.visibility = read_visibility(std::vector<std::string>{R"({service_name="a"})"}, "p");
  const auto view = gate_.open(restricted, Scope::TracesRead);
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_TRUE(view->is_restricted());
  EXPECT_NE(&view->traces_source(), &store_->empty);
  EXPECT_EQ(gate_.open(restricted, Scope::TracesWrite).error().status, 403);
  EXPECT_EQ(gate_.open(restricted, Scope::TracesDelete).error().status, 403);
}

TEST_F(GateTracesTest, ABoundOnAgeFiltersToo) {
  Principal recent = principal({Scope::TracesRead});
  recent.earliest_ms = 1000;
  EXPECT_NE(&gate_.open(recent, Scope::TracesRead)->traces_source(), &store_->empty);
}

TEST_F(GateTracesTest, StoresAreReconfiguredAndClosed) {
  stores_.reconfigure(stack_, {}, {});
  store_->close_result = fail(Code::Internal, "disk");
  EXPECT_EQ(stores_.close().error().message, "disk");
  EXPECT_EQ(store_->calls, "reconfigure close ");
  EXPECT_EQ(stores_.remove(stack_).traces, store_);
  EXPECT_EQ(stores_.remove(stack_).traces, nullptr);
}

}  // namespace
}  // namespace gantry::access
