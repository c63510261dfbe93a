#include "gateway/error_answer.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gantry::gateway {
namespace {

using nlohmann::json;

TEST(ErrorTypes, HaveTheirWordsAndStatuses) {
  const std::vector<std::pair<std::string, int>> expected = {{"invalid_request", 400},
                                                             {"invalid_prompt", 400},
                                                             {"context_length_exceeded", 400},
                                                             {"max_tokens_exceeded", 400},
                                                             {"token_limit_exceeded", 400},
                                                             {"string_too_long", 400},
                                                             {"content_policy_violation", 400},
                                                             {"refusal", 400},
                                                             {"invalid_image", 400},
                                                             {"image_too_large", 400},
                                                             {"image_too_small", 400},
                                                             {"unsupported_image_format", 400},
                                                             {"image_download_failed", 400},
                                                             {"authentication", 401},
                                                             {"payment_required", 402},
                                                             {"permission_denied", 403},
                                                             {"not_found", 404},
                                                             {"image_not_found", 404},
                                                             {"precondition_failed", 412},
                                                             {"payload_too_large", 413},
                                                             {"unprocessable", 422},
                                                             {"rate_limit_exceeded", 429},
                                                             {"client_disconnected", 499},
                                                             {"server", 500},
                                                             {"unmapped", 500},
                                                             {"provider_unavailable", 502},
                                                             {"provider_overloaded", 503},
                                                             {"timeout", 504}};
  for (const auto& [word, status] : expected) {
    const auto type = find_error_type(word);
    ASSERT_TRUE(type) << word;
    EXPECT_EQ(error_word(*type), word);
    EXPECT_EQ(http_status(*type), status) << word;
  }
  EXPECT_EQ(find_error_type("nonsense"), std::nullopt);
}

TEST(ErrorTypes, HaveAnthropicsNames) {
  const auto native = [](ErrorType type) { return anthropic_error_word(type); };
  EXPECT_EQ(native(ErrorType::Authentication), "authentication_error");
  EXPECT_EQ(native(ErrorType::PermissionDenied), "permission_error");
  EXPECT_EQ(native(ErrorType::PaymentRequired), "billing_error");
  EXPECT_EQ(native(ErrorType::NotFound), "not_found_error");
  EXPECT_EQ(native(ErrorType::RateLimitExceeded), "rate_limit_error");
  EXPECT_EQ(native(ErrorType::ProviderOverloaded), "overloaded_error");
  EXPECT_EQ(native(ErrorType::Timeout), "timeout_error");
  EXPECT_EQ(native(ErrorType::InvalidRequest), "invalid_request_error");
  EXPECT_EQ(native(ErrorType::ContextLengthExceeded), "invalid_request_error");
  EXPECT_EQ(native(ErrorType::ContentPolicyViolation), "invalid_request_error");
  EXPECT_EQ(native(ErrorType::ProviderUnavailable), "api_error");
  EXPECT_EQ(native(ErrorType::Server), "api_error");
}

/// As the SDKs of OpenAI list them.
TEST(ErrorTypes, HaveTheCodesOfResponses) {
  const auto native = [](ErrorType type) { return responses_error_word(type); };
  EXPECT_EQ(native(ErrorType::RateLimitExceeded), "rate_limit_exceeded");
  EXPECT_EQ(native(ErrorType::InvalidRequest), "invalid_prompt");
  EXPECT_EQ(native(ErrorType::ContextLengthExceeded), "invalid_prompt");
  EXPECT_EQ(native(ErrorType::ContentPolicyViolation), "image_content_policy_violation");
  EXPECT_EQ(native(ErrorType::ImageDownloadFailed), "failed_to_download_image");
  EXPECT_EQ(native(ErrorType::ImageNotFound), "image_file_not_found");
  EXPECT_EQ(native(ErrorType::Authentication), "server_error");
  EXPECT_EQ(native(ErrorType::Timeout), "server_error");
}

TEST(ErrorBodies, AreOpenAis) {
  EXPECT_EQ(openai_error_body({.type = ErrorType::InvalidRequest,
                               .message = "session_id: at most 256 characters"}),
            R"({"error":{"code":400,"message":"session_id: at most 256 characters",)"
            R"("metadata":{"error_type":"invalid_request"}}})");
  TypedError error{.type = ErrorType::RateLimitExceeded, .message = "m", .provider_code = "slow"};
  error.previous_errors = {{.provider = "Azure", .code = "timeout"},
                           {.provider = "OpenAI", .code = "server", .status = 500}};
  EXPECT_EQ(openai_error_object(error),
            R"({"code":429,"message":"m","metadata":{"error_type":"rate_limit_exceeded",)"
            R"("provider_code":"slow","previous_errors":[)"
            R"({"provider":"Azure","code":"timeout","status":null},)"
            R"({"provider":"OpenAI","code":"server","status":500}]}})");
}

TEST(ErrorBodies, HideTheCodeOfMaskedErrors) {
  const auto body = json::parse(openai_error_body(
      {.type = ErrorType::Server, .message = "Provider returned error", .provider_code = "db42"}));
  EXPECT_EQ(body["error"]["metadata"], json({{"error_type", "server"}}));
}

TEST(ErrorBodies, SayWhyNothingWasAvailable) {
  TypedError error{.type = ErrorType::NotFound, .message = "No endpoints", .retry_after_s = 7};
  error.availability = Availability{.code = "constraint_filtered",
                                    .is_retryable = true,
                                    .requested_models = {"a/b"},
                                    .constraint = "max_price"};
  EXPECT_EQ(json::parse(openai_error_body(error))["error"]["availability"],
            json::parse(R"({"code":"constraint_filtered","retryable":true,"retry_after":7,
              "requested_models":["a/b"],"affected_providers":[],"excluded_by":[],
              "fallback_models":[],"constraint":"max_price","docs_url":null})"));
}

std::string repeated(std::string_view character, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += character;
  return text;
}

TEST(ErrorBodies, CutWhatModerationFlagged) {
  const std::string e = "\xc3\xa9";
  TypedError error{.type = ErrorType::ContentPolicyViolation, .message = "m"};
  error.moderation = Moderation{.reasons = {"violence", repeated("x", 101)},
                                .flagged_input = repeated(e, 100),
                                .provider_name = "P",
                                .model_slug = "a/b"};
  auto metadata = json::parse(openai_error_body(error))["error"]["metadata"];
  EXPECT_EQ(metadata["reasons"],
            json::array({"violence", repeated("x", 49) + "..." + repeated("x", 48)}));
  EXPECT_EQ(metadata["flagged_input"], repeated(e, 100));
  EXPECT_EQ(metadata["provider_name"], "P");
  EXPECT_EQ(metadata["model_slug"], "a/b");
  error.moderation->flagged_input = "a" + repeated(e, 99) + "z";
  metadata = json::parse(openai_error_body(error))["error"]["metadata"];
  EXPECT_EQ(metadata["flagged_input"], "a" + repeated(e, 48) + "..." + repeated(e, 47) + "z");
  error.moderation->flagged_input.clear();
  metadata = json::parse(openai_error_body(error))["error"]["metadata"];
  EXPECT_FALSE(metadata.contains("flagged_input"));
}

TEST(ErrorBodies, OfResponsesHaveWhatOpenAisClientsLookFor) {
  TypedError error{.type = ErrorType::RateLimitExceeded, .message = "m", .provider_code = "slow"};
  error.availability = Availability{.code = "capacity_exhausted", .is_retryable = true};
  const auto body = json::parse(error_body(Api::Responses, error, "gen-1"));
  EXPECT_EQ(body["error_type"], "rate_limit_exceeded");
  EXPECT_EQ(body["error"]["code"], 429);
  EXPECT_EQ(body["error"]["message"], "m");
  EXPECT_EQ(body["error"]["type"], "rate_limit_error");
  EXPECT_TRUE(body["error"].at("param").is_null());
  EXPECT_EQ(body["error"]["metadata"],
            json({{"error_type", "rate_limit_exceeded"}, {"provider_code", "slow"}}));
  EXPECT_EQ(body["error"]["availability"]["code"], "capacity_exhausted");
  const auto family = [](ErrorType type) {
    return json::parse(error_body(Api::Responses, {.type = type}, {}))["error"]["type"];
  };
  EXPECT_EQ(family(ErrorType::InvalidRequest), "invalid_request_error");
  EXPECT_EQ(family(ErrorType::Authentication), "invalid_request_error");
  EXPECT_EQ(family(ErrorType::PaymentRequired), "insufficient_quota");
  EXPECT_EQ(family(ErrorType::ProviderOverloaded), "server_error");
}

TEST(ErrorBodies, AreThoseOfTheApi) {
  const TypedError error{.type = ErrorType::InvalidRequest, .message = "m"};
  for (const Api api : {Api::Chat, Api::Completions, Api::Embeddings}) {
    EXPECT_EQ(error_body(api, error, "gen-1"), openai_error_body(error));
    EXPECT_EQ(json::parse(error_body(api, error, "gen-1", 405))["error"]["code"], 405);
  }
  EXPECT_EQ(json::parse(error_body(Api::Responses, error, "gen-1", 405))["error"]["code"], 405);
  EXPECT_EQ(error_body(Api::Messages, error, "gen-1"), anthropic_error_body(error, "gen-1"));
}

TEST(ErrorBodies, AreAnthropics) {
  const TypedError error{.type = ErrorType::ProviderOverloaded, .message = "busy"};
  EXPECT_EQ(anthropic_error_body(error, "gen-1"),
            R"({"type":"error","error":{"type":"overloaded_error","message":"busy",)"
            R"("error_type":"provider_overloaded"},"request_id":"gen-1"})");
  EXPECT_EQ(json::parse(anthropic_error_body(error, ""))["request_id"], nullptr);
}

TEST(RetryAfter, IsSecondsOrADate) {
  constexpr std::int64_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(parse_retry_after("20", kNow), 20);
  EXPECT_EQ(parse_retry_after("0", kNow), 0);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:50:00 GMT", kNow), 23);
  EXPECT_EQ(parse_retry_after("Sat, 05 Nov 1994 08:50:00 GMT", kNow), 0);
  EXPECT_EQ(parse_retry_after("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800), 0);
  for (const char* bad : {"", "-1", "1.5", "soon", "20s", "Sun, 06 Nov 1994 08:50:00 CET",
                          "Thu, 30 Feb 2024 00:00:00 GMT", "Sun, 06 ovN 1994 08:50:00 GMT",
                          "Sun, 06 Nov 1994 24:50:00 GMT", "Sun, 06 Nov 1994 08:5x:00 GMT"}) {
    EXPECT_EQ(parse_retry_after(bad, kNow), std::nullopt) << bad;
  }
}

struct Case {
  std::string name;
  int status;
  std::string body;
  ErrorType type;
  std::string message;
  std::string provider_code;
};

class UpstreamErrorTest : public ::testing::TestWithParam<Case> {};

TEST_P(UpstreamErrorTest, BecomesATypedError) {
  const Case& c = GetParam();
  const TypedError error = classify_upstream({.status = c.status, .body = c.body});
  EXPECT_EQ(error_word(error.type), error_word(c.type));
  EXPECT_EQ(error.message, c.message);
  EXPECT_EQ(error.provider_code, c.provider_code);
}

const std::string kMasked = "Provider returned error";

INSTANTIATE_TEST_SUITE_P(
    Answers, UpstreamErrorTest,
    ::testing::Values(
        Case{"rate", 429, R"({"error":{"code":"429","message":"Too many requests"}})",
             ErrorType::RateLimitExceeded, kMasked, ""},
        Case{"boom", 500, R"({"error":{"message":"boom"}})", ErrorType::Server, kMasked, ""},
        Case{"busy", 503, R"({"error":{"message":"overloaded"}})", ErrorType::ProviderOverloaded,
             kMasked, ""},
        Case{"anthropic_busy", 529,
             R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
             ErrorType::ProviderOverloaded, kMasked, "overloaded_error"},
        Case{"filtered", 400,
             R"({"error":{"code":"content_filter","message":"Flagged input: \"x\""}})",
             ErrorType::ContentPolicyViolation, "Flagged input: \"x\"", "content_filter"},
        Case{
            "azure_filtered", 400,
            R"({"error":{"code":"x","message":"m","innererror":{"code":"ResponsibleAIPolicyViolation"}}})",
            ErrorType::ContentPolicyViolation, "m", "x"},
        Case{"moderated", 403, R"({"error":{"code":"content_filter","message":"m"}})",
             ErrorType::ContentPolicyViolation, "m", "content_filter"},
        Case{"moderated_without_a_word", 403,
             R"({"error":{"code":403,"message":"m","metadata":{"reasons":["violence"]}}})",
             ErrorType::ContentPolicyViolation, "m", ""},
        Case{"reasons_of_something_else", 401,
             R"({"error":{"code":401,"message":"m","metadata":{"reasons":["key"]}}})",
             ErrorType::ProviderUnavailable, kMasked, ""},
        Case{"image_moderated", 400,
             R"({"error":{"code":"moderation_blocked","type":"image_generation_user_error",)"
             R"("message":"m"}})",
             ErrorType::ContentPolicyViolation, "m", "moderation_blocked"},
        Case{"response_failed", 200,
             R"({"status":"failed","error":{"code":"vector_store_timeout","message":"m"}})",
             ErrorType::Timeout, kMasked, "vector_store_timeout"},
        Case{"response_event", 200,
             R"({"type":"response.failed","response":{"status":"failed","error":{)"
             R"("code":"rate_limit_exceeded","message":"m"}}})",
             ErrorType::RateLimitExceeded, kMasked, "rate_limit_exceeded"},
        Case{"response_of_a_gateway", 200,
             R"({"response":{"error":{"code":"server_error","message":"m"},)"
             R"("error_type":"timeout"},"error_type":"server"})",
             ErrorType::Timeout, kMasked, "server_error"},
        Case{"messages_of_a_gateway", 400,
             R"({"type":"error","error":{"type":"invalid_request_error","message":"m",)"
             R"("error_type":"max_tokens_exceeded"}})",
             ErrorType::MaxTokensExceeded, "m", "invalid_request_error"},
        Case{"bad_key", 401,
             R"({"error":{"code":"invalid_api_key","message":"Incorrect key sk-1"}})",
             ErrorType::ProviderUnavailable, kMasked, "invalid_api_key"},
        Case{"no_credit", 402, "{}", ErrorType::ProviderUnavailable, kMasked, ""},
        Case{"forbidden", 403, R"({"error":{"type":"permission_error","message":"m"}})",
             ErrorType::ProviderUnavailable, kMasked, "permission_error"},
        Case{
            "context_code", 400,
            R"({"error":{"code":"context_length_exceeded","type":"invalid_request_error","message":"m"}})",
            ErrorType::ContextLengthExceeded, "m", "context_length_exceeded"},
        Case{
            "context_words", 400,
            R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}})",
            ErrorType::ContextLengthExceeded, "prompt is too long: 9 > 8", "invalid_request_error"},
        Case{"plain_400", 400,
             R"({"error":{"type":"invalid_request_error","message":"bad top_p"}})",
             ErrorType::InvalidRequest, "bad top_p", "invalid_request_error"},
        Case{"text_error", 400, R"({"error":"bad top_p"})", ErrorType::InvalidRequest, "bad top_p",
             ""},
        Case{"vllm", 400, R"({"object":"error","message":"bad","code":400})",
             ErrorType::InvalidRequest, "bad", ""},
        Case{"image", 400, R"({"error":{"code":"image_file_too_large","message":"m"}})",
             ErrorType::ImageTooLarge, "m", "image_file_too_large"},
        Case{"no_model", 404, R"({"error":{"code":"model_not_found","message":"my-deployment"}})",
             ErrorType::NotFound, kMasked, "model_not_found"},
        Case{"too_slow", 408, "", ErrorType::Timeout, kMasked, ""},
        Case{"edge_slow", 524, "<html>", ErrorType::Timeout, kMasked, ""},
        Case{"conflict", 409, "", ErrorType::ProviderUnavailable, kMasked, ""},
        Case{"large", 413, "", ErrorType::PayloadTooLarge, kMasked, ""},
        Case{"unprocessable", 422, R"({"error":{"message":"m"}})", ErrorType::Unprocessable, "m",
             ""},
        Case{"teapot", 418, "", ErrorType::Unmapped, kMasked, ""},
        Case{"moved", 302, "", ErrorType::ProviderUnavailable, kMasked, ""},
        Case{"bad_gateway", 502, "<html>", ErrorType::ProviderUnavailable, kMasked, ""},
        Case{"error_with_200", 200, R"({"error":{"code":429,"message":"m"}})",
             ErrorType::RateLimitExceeded, kMasked, ""},
        Case{"words_with_200", 200, R"({"error":{"type":"overloaded_error","message":"m"}})",
             ErrorType::ProviderOverloaded, kMasked, "overloaded_error"},
        Case{"empty_with_200", 200, "", ErrorType::ProviderUnavailable, kMasked, ""},
        Case{"gateway_behind", 400,
             R"({"error":{"code":400,"message":"m","metadata":{"error_type":"invalid_image"}}})",
             ErrorType::InvalidImage, "m", ""},
        Case{"gateway_key", 200,
             R"({"error":{"code":401,"message":"m","metadata":{"error_type":"authentication"}}})",
             ErrorType::ProviderUnavailable, kMasked, ""}),
    [](const auto& c) { return c.param.name; });

TEST(UpstreamErrors, KeepWhatOpenRouterSaysOfModeration) {
  TypedError error = classify_upstream(
      {.status = 403,
       .body = R"({"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence",7,)"
               R"("hate"],"flagged_input":"kill \u00e9","provider_name":"Meta",)"
               R"("model_slug":"meta/guard"}}})"});
  ASSERT_TRUE(error.moderation);
  EXPECT_EQ(error.moderation->reasons, (std::vector<std::string>{"violence", "hate"}));
  EXPECT_EQ(error.moderation->flagged_input, "kill \xc3\xa9");
  name_moderator(error, "OpenRouter", "a/b");
  EXPECT_EQ(error.moderation->provider_name, "Meta");
  EXPECT_EQ(error.moderation->model_slug, "meta/guard");
}

TEST(UpstreamErrors, KeepWhatAzureFiltered) {
  for (const std::string& name :
       {std::string("content_filter_result"), std::string("content_filter_results")}) {
    TypedError error = classify_upstream(
        {.status = 400,
         .body = R"({"error":{"code":"content_filter","message":"m","status":400,"innererror":{)"
                 R"("code":"ResponsibleAIPolicyViolation",")" +
                 name +
                 R"(":{"hate":{"filtered":false,"severity":"safe"},)"
                 R"("jailbreak":{"detected":true,"filtered":true},"odd":1,)"
                 R"("violence":{"filtered":true,"severity":"high"}}}}})"});
    EXPECT_EQ(error.provider_code, "content_filter");
    ASSERT_TRUE(error.moderation) << name;
    EXPECT_EQ(error.moderation->reasons, (std::vector<std::string>{"jailbreak", "violence"}));
    EXPECT_EQ(error.moderation->flagged_input, "");
    name_moderator(error, "Azure", "a/b");
    EXPECT_EQ(error.moderation->provider_name, "Azure");
    EXPECT_EQ(error.moderation->model_slug, "a/b");
  }
}

TEST(UpstreamErrors, HaveModerationWhereContentWasRefusedAlone) {
  TypedError other = classify_upstream(
      {.status = 400, .body = R"({"error":{"message":"m","metadata":{"flagged_input":"x"}}})"});
  EXPECT_EQ(other.type, ErrorType::InvalidRequest);
  name_moderator(other, "P", "a/b");
  EXPECT_FALSE(other.moderation);
  std::string reasons;
  for (int i = 0; i < 40; ++i) reasons += R"("r",)";
  const TypedError many = classify_upstream(
      {.status = 403,
       .body = R"({"error":{"message":"m","metadata":{"reasons":[)" + reasons + R"("r"]}}})"});
  ASSERT_TRUE(many.moderation);
  EXPECT_EQ(many.moderation->reasons.size(), 32U);
}

TEST(UpstreamErrors, KeepRetryAfter) {
  EXPECT_EQ(classify_upstream({.status = 429, .body = "", .retry_after = "20"}).retry_after_s, 20);
  EXPECT_EQ(classify_upstream({.status = 429, .body = ""}).retry_after_s, std::nullopt);
}

TEST(UpstreamErrors, AreFoundInBodies) {
  EXPECT_TRUE(is_error_body(R"({"error":{"message":"m"}})"));
  EXPECT_TRUE(is_error_body(R"({"error":"m"})"));
  EXPECT_TRUE(is_error_body(R"({"type":"error","error":{}})"));
  EXPECT_TRUE(is_error_body(R"({"object":"error","message":"m"})"));
  EXPECT_TRUE(is_error_body(R"({"response":{"error":{"message":"m"}}})"));
  EXPECT_FALSE(is_error_body(R"({"response":{"error":null}})"));
  EXPECT_FALSE(is_error_body(R"({"error":null,"choices":[]})"));
  EXPECT_FALSE(is_error_body(R"({"choices":[{"error":"x"}]})"));
  EXPECT_FALSE(is_error_body(R"({"error":)"));
  EXPECT_FALSE(is_error_body(""));
}

TEST(UpstreamErrors, OfAStreamReadAsDisconnected) {
  const TypedError reset =
      classify_stream_error(R"({"error":{"code":502,"message":"upstream reset"}})");
  EXPECT_EQ(reset.type, ErrorType::ProviderUnavailable);
  EXPECT_EQ(reset.message, "Provider disconnected");
  const TypedError busy = classify_stream_error(R"({"type":"overloaded_error","message":"m"})");
  EXPECT_EQ(busy.type, ErrorType::ProviderOverloaded);
  EXPECT_EQ(busy.message, kMasked);
  const TypedError flagged = classify_stream_error(R"({"code":"content_filter","message":"m"})");
  EXPECT_EQ(flagged.type, ErrorType::ContentPolicyViolation);
  EXPECT_EQ(flagged.message, "m");
  EXPECT_EQ(classify_stream_error("{").message, "Provider disconnected");
}

FailedAttempt attempt(const std::string& provider, ErrorType type,
                      std::optional<std::int64_t> retry_after_s = {}) {
  return {.provider_name = provider,
          .error = {.type = type, .message = "of " + provider, .retry_after_s = retry_after_s},
          .status = http_status(type)};
}

TEST(FailedAttempts, OfSeveralTypesAreAnUnavailableProvider) {
  const std::vector<FailedAttempt> attempts = {attempt("A", ErrorType::RateLimitExceeded, 3),
                                               attempt("B", ErrorType::Server)};
  const TypedError error = combine_attempts(attempts);
  EXPECT_EQ(openai_error_body(error),
            R"({"error":{"code":502,"message":"Provider returned error","metadata":{)"
            R"("error_type":"provider_unavailable","previous_errors":[)"
            R"({"provider":"A","code":"rate_limit_exceeded","status":429}]}}})");
  EXPECT_EQ(error.retry_after_s, std::nullopt);
}

TEST(FailedAttempts, OfOneTypeKeepIt) {
  const std::vector<FailedAttempt> attempts = {attempt("A", ErrorType::RateLimitExceeded, 30),
                                               attempt("B", ErrorType::RateLimitExceeded, 3),
                                               attempt("C", ErrorType::RateLimitExceeded)};
  const TypedError error = combine_attempts(attempts);
  EXPECT_EQ(error.type, ErrorType::RateLimitExceeded);
  EXPECT_EQ(error.message, "of C");
  EXPECT_EQ(error.retry_after_s, 3);
  EXPECT_EQ(error.previous_errors.size(), 2U);
}

TEST(FailedAttempts, OfOneAreThatOne) {
  const std::vector<FailedAttempt> attempts = {
      {.provider_name = "A", .error = provider_timeout(10000)}};
  EXPECT_EQ(openai_error_body(combine_attempts(attempts)),
            R"({"error":{"code":504,"message":"Provider did not answer in 10000 ms",)"
            R"("metadata":{"error_type":"timeout"}}})");
}

}  // namespace
}  // namespace gantry::gateway
