#include "gateway/attempt_plan.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "gateway/testing/catalogues.h"

namespace gantry::gateway {
namespace {

AttemptFailure answered(int status, std::string_view body = "{}",
                        std::string_view retry_after = "") {
  return {.error = classify_upstream(
              {.status = status, .body = body, .retry_after = retry_after, .now_unix_s = 0}),
          .status = status};
}

AttemptFailure timed_out() {
  return {.error = provider_timeout(60'000), .status = {}};
}

constexpr std::string_view kTooLong =
    R"({"error":{"code":"context_length_exceeded","message":"too long"}})";

class AttemptPlanTest : public ::testing::Test {
 protected:
  AttemptPlanTest() {
    CatalogueConfig config;
    config.providers = {testing::make_provider("p"), testing::make_provider("q")};
    for (const char* id : {"m/a", "m/b"}) {
      ModelConfig model{.id = id};
      model.endpoints = {testing::make_endpoint("p"), testing::make_endpoint("q")};
      config.models.push_back(std::move(model));
    }
    for (const auto& model : testing::make_catalogue(config)->models()) {
      for (const auto& endpoint : model->endpoints) {
        route_.candidates.push_back({.model = model, .endpoint = endpoint});
      }
    }
  }

  AttemptPlan plan(std::size_t candidates, AttemptPlanOptions options = {}) {
    Route route = route_;
    route.candidates.resize(candidates);
    return {std::move(route), TimestampMs{600'000}, random_, options};
  }

  /// "m/a p", "m/a p after 250", "404 not_found: …"
  static std::string told(const AttemptStep& step) {
    if (const auto* error = std::get_if<TypedError>(&step)) {
      return std::to_string(http_status(error->type)) + " " + std::string(error_word(error->type)) +
             ": " + error->message;
    }
    const auto& attempt = std::get<NextAttempt>(step);
    std::string out = attempt.candidate.model->config.id + " " + attempt.candidate.endpoint->tag;
    if (attempt.delay.count > 0) out += " after " + std::to_string(attempt.delay.count);
    if (attempt.is_forced) out += " forced";
    return out;
  }

  RandomSource random_{3};
  Route route_;
  TimestampMs now_{1'000};
};

TEST_F(AttemptPlanTest, GoesToTheNextCandidateForWhatAnotherMayMend) {
  const AttemptFailure failures[] = {answered(401),
                                     answered(403),
                                     answered(402),
                                     answered(404),
                                     answered(408),
                                     answered(409),
                                     answered(429),
                                     answered(500),
                                     answered(503),
                                     answered(529),
                                     answered(200, "x"),
                                     timed_out(),
                                     {.error = provider_disconnected(), .status = {}}};
  for (const AttemptFailure& failure : failures) {
    AttemptPlan plan = this->plan(2);
    EXPECT_EQ(told(plan.first(now_)), "m/a p");
    EXPECT_EQ(told(plan.after_failure(failure, now_)), "m/a q") << error_word(failure.error.type);
  }
}

TEST_F(AttemptPlanTest, GivesTheClientsErrorsBackAtOnce) {
  for (const int status : {400, 413, 415, 422}) {
    AttemptPlan plan = this->plan(4);
    static_cast<void>(plan.first(now_));
    const auto step = plan.after_failure(answered(status, R"({"error":{"message":"bad"}})"), now_);
    ASSERT_TRUE(std::holds_alternative<TypedError>(step)) << status;
    EXPECT_EQ(std::get<TypedError>(step).message, "bad");
  }
}

TEST_F(AttemptPlanTest, KeepsEarlierFailuresBesideTheClientsError) {
  AttemptPlan plan = this->plan(2);
  static_cast<void>(plan.first(now_));
  static_cast<void>(plan.after_failure(answered(503), now_));
  const auto step = plan.after_failure(answered(400), now_);
  const auto& error = std::get<TypedError>(step);
  EXPECT_EQ(error.type, ErrorType::InvalidRequest);
  ASSERT_EQ(error.previous_errors.size(), 1U);
  EXPECT_EQ(error.previous_errors[0].code, "provider_overloaded");
  EXPECT_EQ(error.previous_errors[0].status, 503);
}

TEST_F(AttemptPlanTest, TriesAnotherModelWhenTheInputIsTooLongOrRefused) {
  for (const AttemptFailure& failure :
       {answered(400, kTooLong), answered(403, R"({"error":{"code":"content_filter"}})")}) {
    AttemptPlan plan = this->plan(4);
    static_cast<void>(plan.first(now_));
    EXPECT_EQ(told(plan.after_failure(failure, now_)), "m/b p");
    EXPECT_EQ(std::get<TypedError>(plan.after_failure(failure, now_)).type, failure.error.type);
    AttemptPlan alone = this->plan(2);
    static_cast<void>(alone.first(now_));
    EXPECT_EQ(std::get<TypedError>(alone.after_failure(failure, now_)).type, failure.error.type);
  }
}

TEST_F(AttemptPlanTest, NothingIsTriedOnceTheClientHasBytes) {
  AttemptPlan plan = this->plan(4);
  static_cast<void>(plan.first(now_));
  AttemptFailure failure{.error = provider_disconnected(), .status = 200};
  failure.client_output = ClientOutput::Begun;
  EXPECT_EQ(told(plan.after_failure(failure, now_)),
            "502 provider_unavailable: Provider disconnected");
}

TEST_F(AttemptPlanTest, NothingIsTriedForAClientThatLeft) {
  AttemptPlan plan = this->plan(4);
  static_cast<void>(plan.first(now_));
  const AttemptFailure failure{.error = {.type = ErrorType::ClientDisconnected}, .status = {}};
  EXPECT_TRUE(std::holds_alternative<TypedError>(plan.after_failure(failure, now_)));
}

TEST_F(AttemptPlanTest, TheLastCandidateIsTriedAgainAfterADelay) {
  AttemptPlan plan = this->plan(1, {.max_retries = 3});
  static_cast<void>(plan.first(now_));
  for (const std::int64_t whole : {250, 500, 1'000}) {
    const auto step = plan.after_failure(answered(500), now_);
    ASSERT_TRUE(std::holds_alternative<NextAttempt>(step));
    const std::int64_t delay = std::get<NextAttempt>(step).delay.count;
    EXPECT_GE(delay, whole / 2);
    EXPECT_LE(delay, whole);
  }
  EXPECT_EQ(told(plan.after_failure(answered(500), now_)), "500 server: Provider returned error");
}

TEST_F(AttemptPlanTest, RetriesOnceUnlessToldOtherwise) {
  AttemptPlan plan = this->plan(1);
  static_cast<void>(plan.first(now_));
  EXPECT_TRUE(std::holds_alternative<NextAttempt>(plan.after_failure(timed_out(), now_)));
  EXPECT_EQ(told(plan.after_failure(timed_out(), now_)),
            "504 timeout: Provider did not answer in 60000 ms");
  AttemptPlan never = this->plan(1, {.max_retries = 0});
  static_cast<void>(never.first(now_));
  EXPECT_TRUE(std::holds_alternative<TypedError>(never.after_failure(timed_out(), now_)));
}

TEST_F(AttemptPlanTest, WaitsAsLongAsTheProviderAsksIfThatIsShort) {
  AttemptPlan plan = this->plan(1);
  static_cast<void>(plan.first(now_));
  EXPECT_EQ(told(plan.after_failure(answered(429, "{}", "5"), now_)), "m/a p after 5000");
  AttemptPlan late = this->plan(1);
  static_cast<void>(late.first(now_));
  const auto step = late.after_failure(answered(429, "{}", "6"), now_);
  EXPECT_EQ(told(step), "429 rate_limit_exceeded: Provider returned error");
  EXPECT_EQ(std::get<TypedError>(step).retry_after_s, 6);
}

TEST_F(AttemptPlanTest, AnotherKeyNeedNotWaitForTheFirst) {
  for (const AttemptFailure& each : {answered(429, "{}", "60"), answered(401)}) {
    AttemptFailure failure = each;
    AttemptPlan without = this->plan(1);
    static_cast<void>(without.first(now_));
    EXPECT_TRUE(std::holds_alternative<TypedError>(without.after_failure(failure, now_)));
    failure.other_key = OtherKey::Free;
    AttemptPlan with = this->plan(1);
    static_cast<void>(with.first(now_));
    const auto step = with.after_failure(failure, now_);
    ASSERT_TRUE(std::holds_alternative<NextAttempt>(step));
    EXPECT_LE(std::get<NextAttempt>(step).delay.count, 250);
  }
}

TEST_F(AttemptPlanTest, AMissingModelIsNotAskedForTwice) {
  AttemptPlan plan = this->plan(1);
  static_cast<void>(plan.first(now_));
  EXPECT_EQ(told(plan.after_failure(answered(404), now_)),
            "404 not_found: Provider returned error");
}

TEST_F(AttemptPlanTest, StaysInsideTheDeadline) {
  AttemptPlan plan = this->plan(2);
  static_cast<void>(plan.first(now_));
  const auto step = plan.after_failure(timed_out(), TimestampMs{590'000});
  const ProviderTimeouts& timeouts = std::get<NextAttempt>(step).timeouts;
  EXPECT_EQ(timeouts.connect, DurationMs{5'000});
  EXPECT_EQ(timeouts.headers, DurationMs{10'000});
  EXPECT_EQ(timeouts.total, DurationMs{10'000});
  EXPECT_EQ(told(plan.after_failure(answered(429, "{}", "4"), TimestampMs{596'000})),
            "502 provider_unavailable: Provider returned error");
  AttemptPlan late = this->plan(2);
  EXPECT_EQ(told(late.first(TimestampMs{600'000})),
            "504 timeout: No provider could be asked before the request's deadline");
}

TEST_F(AttemptPlanTest, ARefusedAttemptMovesOnAndTheLastIsForced) {
  AttemptPlan plan = this->plan(2);
  static_cast<void>(plan.first(now_));
  EXPECT_EQ(told(plan.after_refusal(now_)), "m/a q");
  EXPECT_EQ(told(plan.after_refusal(now_)), "m/a q forced");
  AttemptPlan tried = this->plan(2);
  static_cast<void>(tried.first(now_));
  static_cast<void>(tried.after_failure(answered(503), now_));
  EXPECT_EQ(told(tried.after_refusal(now_)), "503 provider_overloaded: Provider returned error");
}

TEST_F(AttemptPlanTest, SaysWhenAllAreExhausted) {
  AttemptPlan plan = this->plan(2, {.max_retries = 0});
  static_cast<void>(plan.first(now_));
  static_cast<void>(plan.after_failure(answered(429, "{}", "20"), now_));
  const auto step = plan.after_failure(answered(429, "{}", "30"), now_);
  const auto& error = std::get<TypedError>(step);
  EXPECT_EQ(error.retry_after_s, 20);
  ASSERT_TRUE(error.availability);
  EXPECT_EQ(error.availability->code, "capacity_exhausted");
  EXPECT_TRUE(error.availability->is_retryable);
  EXPECT_EQ(error.availability->requested_models, std::vector<std::string>{"m/a"});
  EXPECT_EQ(error.availability->affected_providers, (std::vector<std::string>{"p", "q"}));
}

TEST(AttemptOutcome, CountsWhatTheEndpointIsToBlameFor) {
  for (const AttemptFailure& failure :
       {timed_out(), answered(401), answered(404), answered(429), answered(500), answered(529)}) {
    EXPECT_EQ(outcome_of(failure), AttemptOutcome::Failure) << error_word(failure.error.type);
  }
  EXPECT_EQ(outcome_of(answered(429, "{}", "1")), AttemptOutcome::Neither);
  EXPECT_EQ(outcome_of({.error = {.type = ErrorType::ClientDisconnected}, .status = {}}),
            AttemptOutcome::Neither);
  EXPECT_EQ(outcome_of(answered(400)), AttemptOutcome::Success);
  EXPECT_EQ(outcome_of(answered(400, kTooLong)), AttemptOutcome::Success);
}

TEST(AttemptOutcome, PutsKeysAsideThatAreRefusedOrUsedUp) {
  EXPECT_EQ(key_pause(answered(401)), DurationMs{30'000});
  EXPECT_EQ(key_pause(answered(429)), DurationMs{30'000});
  EXPECT_EQ(key_pause(answered(429, "{}", "2")), DurationMs{2'000});
  EXPECT_EQ(key_pause(answered(429, "{}", "99999999999999999")), DurationMs{86'400'000});
  EXPECT_EQ(key_pause(answered(500, "{}", "2")), std::nullopt);
  EXPECT_EQ(key_pause(timed_out()), std::nullopt);
}

RC_GTEST_PROP(AttemptPlanProperty, EndsAndTriesNoEndpointMoreOftenThanAllowed, ()) {
  CatalogueConfig config;
  config.providers = {testing::make_provider("p")};
  Route route;
  const auto count = *rc::gen::inRange<std::size_t>(1, 6);
  for (std::size_t i = 0; i < count; ++i) {
    ModelConfig model{.id = "m/" + std::to_string(i)};
    model.endpoints = {testing::make_endpoint("p")};
    config.models.push_back(std::move(model));
  }
  for (const auto& model : testing::make_catalogue(config)->models()) {
    route.candidates.push_back({.model = model, .endpoint = model->endpoints.front()});
  }
  RandomSource random(1);
  const auto retries = *rc::gen::inRange<std::uint32_t>(0, 4);
  constexpr TimestampMs kDeadline{100'000};
  AttemptPlan plan(route, kDeadline, random, {.max_retries = retries});
  TimestampMs now{0};
  AttemptStep step = plan.first(now);
  std::vector<EndpointId> tried;
  while (const auto* attempt = std::get_if<NextAttempt>(&step)) {
    now = now + attempt->delay;
    RC_ASSERT(now < kDeadline);
    RC_ASSERT(now + attempt->timeouts.total <= kDeadline);
    tried.push_back(attempt->candidate.endpoint->id);
    RC_ASSERT(tried.size() <= count + retries);
    now = now + DurationMs{*rc::gen::inRange<std::int64_t>(0, 40'000)};
    const int status =
        *rc::gen::elementOf(std::vector<int>{200, 400, 401, 403, 404, 408, 429, 500, 503});
    const std::string retry_after = std::to_string(*rc::gen::inRange(0, 10));
    step = plan.after_failure(answered(status, kTooLong, retry_after), now);
  }
  const auto& error = std::get<TypedError>(step);
  RC_ASSERT(error.previous_errors.size() + 1 == tried.size());
}

}  // namespace
}  // namespace gantry::gateway
