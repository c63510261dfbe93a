#include "api/answer_json.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace gantry::api {
namespace {

std::string whole_body(net::Response response) {
  std::string body = std::move(response.body);
  if (response.stream) {
    for (std::string piece = response.stream(); !piece.empty(); piece = response.stream()) {
      body += piece;
    }
  }
  return body;
}

std::string body_of(promql::Value value, promql::Annotations annotations = {}) {
  promql::Answer answer{
      .value = std::move(value), .annotations = std::move(annotations), .statistics = {}};
  return whole_body(answer_response(std::move(answer), ""));
}

TEST(AnswerJson, WritesAVector) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  std::vector<promql::VectorElement> vector;
  vector.push_back({.labels = {{"__name__", "up"}, {"a", "<\"é"}},
                    .timestamp_ms = 1435781451781,
                    .value = 1e-7});
  vector.push_back({.labels = {}, .timestamp_ms = 1000, .value = -kInf});
  EXPECT_EQ(body_of(std::move(vector)),
            R"({"status":"success","data":{"resultType":"vector","result":[)"
            R"({"metric":{"__name__":"up","a":"<\"é"},"value":[1435781451.781,"1e-07"]},)"
            R"({"metric":{},"value":[1,"-Inf"]}]}})");
}

TEST(AnswerJson, WritesEmptyLists) {
  EXPECT_EQ(body_of(std::vector<promql::VectorElement>{}),
            R"({"status":"success","data":{"resultType":"vector","result":[]}})");
  EXPECT_EQ(body_of(std::vector<promql::ResultSeries>{}),
            R"({"status":"success","data":{"resultType":"matrix","result":[]}})");
}

TEST(AnswerJson, ScalarsHaveNoExponentAndAShortTime) {
  EXPECT_EQ(
      body_of(promql::ScalarValue{.timestamp_ms = 1435781451700, .value = 1e24}),
      R"({"status":"success","data":{"resultType":"scalar","result":[1435781451.7,"1000000000000000000000000"]}})");
  EXPECT_EQ(body_of(promql::StringValue{.timestamp_ms = 0, .value = "a\n"}),
            R"({"status":"success","data":{"resultType":"string","result":[0,"a\n"]}})");
}

TEST(AnswerJson, WritesHistogramsBesideFloats) {
  telemetry::FloatHistogram histogram{.schema = 0,
                                      .zero_threshold = 0.001,
                                      .zero_count = 2,
                                      .count = 6,
                                      .sum = 12.5,
                                      .positive_spans = {{.offset = 0, .length = 1}},
                                      .negative_spans = {{.offset = 1, .length = 1}},
                                      .positive_counts = {3},
                                      .negative_counts = {1}};
  promql::ResultSeries series{
      .labels = {{"h", "1"}}, .points = {{.timestamp_ms = 1500, .value = 2}}, .histograms = {}};
  series.histograms.push_back(
      {.timestamp_ms = 2000, .histogram = std::make_shared<telemetry::FloatHistogram>(histogram)});
  EXPECT_EQ(
      body_of(std::vector<promql::ResultSeries>{series}),
      R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"h":"1"},"values":[[1.500,"2"]],)"
      R"("histograms":[[2,{"count":"6","sum":"12.5","buckets":[[1,"-2","-1","1"],[3,"-0.001","0.001","2"],[0,"0.5","1","3"]]}]]}]}})");
}

TEST(AnswerJson, BucketsOfHistogramsBeginWhereTheZeroBucketEnds) {
  const telemetry::FloatHistogram histogram{.schema = 0,
                                            .zero_threshold = 0.75,
                                            .zero_count = 2,
                                            .count = 6,
                                            .sum = 1,
                                            .positive_spans = {{.offset = 0, .length = 1}},
                                            .negative_spans = {{.offset = 0, .length = 1}},
                                            .positive_counts = {3},
                                            .negative_counts = {1}};
  std::string out;
  append_histogram(out, histogram);
  EXPECT_EQ(
      out,
      R"({"count":"6","sum":"1","buckets":[[1,"-1","-0.75","1"],[3,"-0.75","0.75","2"],[0,"0.75","1","3"]]})");
}

TEST(AnswerJson, TellsOfTenAnnotationsAndHowManyMore) {
  promql::Annotations annotations;
  for (int i = 0; i < 12; ++i) annotations.warnings.push_back("w<" + std::to_string(i));
  const std::string body = body_of(promql::ScalarValue{}, annotations);
  EXPECT_NE(body.find(R"("w\u003c9","2 more warning annotations omitted"]})"), std::string::npos)
      << body;
  EXPECT_EQ(body.find("infos"), std::string::npos);
}

TEST(AnswerJson, StreamsWhatIsLarge) {
  std::vector<promql::ResultSeries> matrix(300);
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    matrix[i].labels = {{"i", std::to_string(i)}};
    for (int t = 0; t < 100; ++t)
      matrix[i].points.push_back({.timestamp_ms = t * 1000, .value = 0.5 * t});
  }
  promql::Answer answer{
      .value = matrix, .annotations = {.warnings = {"w"}, .infos = {}}, .statistics = {}};
  net::Response response = answer_response(std::move(answer), R"({"samples":{}})");
  ASSERT_TRUE(response.stream);
  const std::string body = whole_body(std::move(response));
  EXPECT_TRUE(body.starts_with(
      R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"i":"0"},)"));
  EXPECT_TRUE(body.ends_with(R"([99,"49.5"]]}],"stats":{"samples":{}}},"warnings":["w"]})"))
      << body.substr(body.size() - 80);
  EXPECT_EQ(static_cast<std::size_t>(std::count(body.begin(), body.end(), '[')), 300U * 101 + 2);
}

TEST(AnswerJson, CutsToTheLimitAndSaysSo) {
  promql::Answer answer{
      .value = std::vector<promql::VectorElement>(3), .annotations = {}, .statistics = {}};
  truncate_answer(answer, 3);
  EXPECT_TRUE(answer.annotations.warnings.empty());
  truncate_answer(answer, 2);
  EXPECT_EQ(std::get<1>(answer.value).size(), 2U);
  EXPECT_EQ(answer.annotations.warnings,
            std::vector<std::string>{"results truncated due to limit"});
}

}  // namespace
}  // namespace gantry::api
