// Tempo's API over fixed spans: what each endpoint answers, and to whom.

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/testing/tempo_world.h"

namespace gantry::api {
namespace {

using Json = nlohmann::json;
using TempoTest = testing::TempoWorld;

constexpr std::string_view kSearch = "/api/search";
constexpr std::string_view kRange = "/api/metrics/query_range";
constexpr std::string_view kInstant = "/api/metrics/query";

Json parsed(const net::Response& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.headers.find("Content-Type"), "application/json");
  return Json::parse(response.body, nullptr, false);
}

std::string with(std::string_view path, std::string_view query) {
  return std::string(path) + "?" + std::string(query);
}

TEST_F(TempoTest, EchoAndBuildinfoAreWhatGrafanaAsksFirst) {
  EXPECT_EQ(ask("/api/echo"), "200 echo");
  EXPECT_EQ(ask("/tempo/api/echo"), "200 echo");
  const Json info = parsed(get("/api/status/buildinfo"));
  EXPECT_EQ(info.size(), 6U);
  EXPECT_GE(info.at("version").get<std::string>(), "2.7.0");
}

TEST_F(TempoTest, EveryPathNeedsItsScope) {
  for (const std::string_view path :
       {"/api/echo", "/api/status/buildinfo", "/api/search", "/api/search/tags",
        "/api/v2/search/tags", "/api/search/tag/x/values", "/api/v2/search/tag/x/values",
        "/api/traces/a1", "/api/v2/traces/a1", "/api/metrics/query", "/api/metrics/query_range"}) {
    EXPECT_EQ(ask(path, ""), "401 authentication error: no credentials provided") << path;
    EXPECT_EQ(ask(path, "glc_metrics"), "403 authentication error: invalid scope requested")
        << path;
    EXPECT_EQ(get(path, "glc_metrics").headers.find("Content-Type"), "text/plain; charset=utf-8");
  }
}

// ---- traces by id

TEST_F(TempoTest, ATraceByIdHasAllItsSpans) {
  const Json trace = parsed(get("/api/v2/traces/a1"));
  ASSERT_EQ(trace.at("trace").at("resourceSpans").size(), 2U);
  const Json& span =
      trace.at("trace").at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").at(0);
  EXPECT_EQ(span.at("traceId"), "AAAAAAAAAAAAAAAAAAAAoQ==");
  EXPECT_EQ(span.at("kind"), "SPAN_KIND_SERVER");
  EXPECT_TRUE(trace.at("metrics").contains("inspectedBytes"));
  EXPECT_FALSE(trace.contains("status"));
  const Json first = parsed(get("/api/traces/000000000000000000000000000000a1"));
  EXPECT_EQ(first.at("batches"), trace.at("trace").at("resourceSpans"));
}

TEST_F(TempoTest, ATraceComesAsProtobufToo) {
  net::Headers headers;
  headers.set("Accept", "application/protobuf");
  const auto response = send(net::Method::Get, "/api/v2/traces/b2", "glc_read", headers);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.find("Content-Type"), "application/protobuf");
  EXPECT_TRUE(response.body.starts_with('\x0a'));
  EXPECT_TRUE(response.body.contains("vacuum"));
  const auto first = send(net::Method::Get, "/api/traces/b2", "glc_read", headers);
  EXPECT_TRUE(response.body.contains(first.body)) << "field 1 is the message Trace";
}

TEST_F(TempoTest, ATraceThatIsNotThereIsEmptyOr404) {
  EXPECT_EQ(ask("/api/v2/traces/77"), R"(200 {"trace":{},"metrics":{}})");
  EXPECT_EQ(ask("/api/traces/77"), "404 ");
}

TEST_F(TempoTest, TracesByIdCheckTheirParameters) {
  EXPECT_EQ(ask("/api/traces/12x4"),
            "400 trace IDs can only contain hex characters: invalid character 'x' at position 3");
  EXPECT_EQ(ask("/api/traces/a1?start=5&end=5"),
            "400 http parameter start must be before end. received start=5 end=5");
  EXPECT_EQ(ask("/api/v2/traces/a1?mode=x"), "400 invalid value for mode x");
  EXPECT_EQ(ask("/api/v2/traces/a1?q=%7B%7D&match_depth=-2"),
            "400 invalid value for match_depth: must be >= -1");
}

TEST_F(TempoTest, APartOfATraceCanBeAskedFor) {
  const Json part = parsed(get("/api/v2/traces/a1?q=%7B+status+%3D+error+%7D"));
  ASSERT_EQ(part.at("trace").at("resourceSpans").size(), 1U);
  EXPECT_EQ(part.at("trace").at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").size(),
            1U);
  EXPECT_EQ(part.at("status"), "PARTIAL");
  EXPECT_EQ(part.at("message"),
            "Trace filtered, only a subset of spans matching the filter is returned");
  const Json whole = parsed(get("/api/v2/traces/a1?q=%7B+duration+%3E+1ms+%7D"));
  EXPECT_EQ(whole, parsed(get("/api/v2/traces/a1")));
  const Json none = parsed(get("/api/v2/traces/a1?q=%7B+name+%3D+%22vacuum%22+%7D"));
  EXPECT_EQ(none.at("trace"), Json::object());
}

TEST_F(TempoTest, EveryAnswerComesAsProtobufToo) {
  net::Headers headers;
  headers.set("Accept", "application/protobuf");
  for (const std::string_view path :
       {"/api/search?q=%7B%7D", "/api/search/tags", "/api/v2/search/tags",
        "/api/search/tag/service.name/values", "/api/v2/search/tag/resource.service.name/values",
        "/api/metrics/query?q=%7B%7D%7Crate()", "/api/metrics/query_range?q=%7B%7D%7Crate()"}) {
    const auto response = send(net::Method::Get, path, "glc_read", headers);
    EXPECT_EQ(response.status, 200) << path << response.body;
    EXPECT_EQ(response.headers.find("Content-Type"), "application/protobuf") << path;
    EXPECT_TRUE(response.body.starts_with('\x0a')) << path << ": field 1 is the list";
  }
}

TEST_F(TempoTest, ALargeTraceComesInPartOrNotAtAll) {
  settings_.tempo.trace_bytes_max = 300;
  const Json trace = parsed(get("/api/v2/traces/a1"));
  EXPECT_EQ(trace.at("trace").at("resourceSpans").size(), 1U);
  EXPECT_EQ(trace.at("status"), "PARTIAL");
  EXPECT_EQ(trace.at("message"),
            "Trace exceeds maximum size of 300 bytes, a partial trace is returned");
  EXPECT_EQ(ask("/api/traces/a1"), "422 trace exceeds max size (max bytes: 300)");
}

TEST_F(TempoTest, DeletingNeedsItsOwnScope) {
  EXPECT_EQ(send(net::Method::Delete, "/api/traces/a1", "glc_read").status, 403);
  EXPECT_EQ(send(net::Method::Delete, "/api/traces/a1", "glc_delete").status, 204);
  EXPECT_EQ(send(net::Method::Delete, "/api/traces/77", "glc_delete").status, 404);
  EXPECT_EQ(send(net::Method::Delete, "/api/traces/zz", "glc_delete").status, 400);
  ASSERT_EQ(store_->deleted.size(), 2U);
  EXPECT_EQ(store_->deleted[0], traceql::testing::trace_id(0xa1));
}

// ---- search

TEST_F(TempoTest, SearchHasExactlyTheKnownMembers) {
  const Json answer = parsed(get(with(kSearch, "q=%7B+name+%3D+%22select%22+%7D")));
  ASSERT_EQ(answer.at("traces").size(), 1U);
  const Json& trace = answer.at("traces").at(0);
  EXPECT_EQ(trace.at("traceID"), "a1");
  EXPECT_EQ(trace.at("rootServiceName"), "shop");
  EXPECT_EQ(trace.at("rootTraceName"), "GET /");
  EXPECT_EQ(trace.at("startTimeUnixNano"), "1699999940000000000");
  EXPECT_EQ(trace.at("durationMs"), 200);
  EXPECT_EQ(trace.at("serviceStats"),
            Json::parse(R"({"shop":{"spanCount":1},"db":{"spanCount":1,"errorCount":1}})"));
  EXPECT_EQ(trace.at("spanSet"), trace.at("spanSets").at(0));
  EXPECT_EQ(trace.at("spanSet").at("matched"), 1);
  EXPECT_EQ(trace.at("spanSet").at("spans").at(0),
            Json::parse(R"({"spanID":"0000000000000002","name":"select",
              "startTimeUnixNano":"1699999940010000000","durationNanos":"100000000"})"));
  EXPECT_EQ(trace.size(), 8U);
  for (const auto& [key, value] : answer.at("metrics").items())
    EXPECT_TRUE(key == "inspectedTraces" || key == "inspectedBytes" || key == "totalBlocks" ||
                key == "completedJobs" || key == "totalJobs" || key == "totalBlockBytes")
        << key;
}

TEST_F(TempoTest, SearchShowsWhatWasSelected) {
  const Json answer = parsed(get(
      with(kSearch, "q=%7B+status+%3D+error+%7D+%7C+select%28span.db.rows%2C+resource.team%29")));
  const Json& attributes =
      answer.at("traces").at(0).at("spanSet").at("spans").at(0).at("attributes");
  const auto has = [&](std::string_view attribute) {
    return std::ranges::find(attributes, Json::parse(attribute)) != attributes.end();
  };
  EXPECT_TRUE(has(R"({"key":"status","value":{"stringValue":"error"}})")) << attributes;
  EXPECT_TRUE(has(R"({"key":"db.rows","value":{"doubleValue":1.5}})")) << attributes;
  EXPECT_TRUE(has(R"({"key":"team","value":{"stringValue":"data"}})")) << attributes;
}

TEST_F(TempoTest, ATraceWithoutItsRootSaysSo) {
  const Json answer = parsed(get(with(kSearch, "q=%7B+name+%3D+%22vacuum%22+%7D")));
  EXPECT_EQ(answer.at("traces").at(0).at("rootServiceName"), "<root span not yet received>");
  EXPECT_FALSE(answer.at("traces").at(0).contains("rootTraceName"));
}

std::string trace_ids(const Json& answer) {
  std::string ids;
  if (!answer.contains("traces")) return ids;
  for (const Json& trace : answer.at("traces")) ids += trace.at("traceID").get<std::string>() + " ";
  return ids;
}

TEST_F(TempoTest, SearchIsNewestFirstWithinItsRange) {
  EXPECT_EQ(trace_ids(parsed(get(kSearch))), "c3 b2 a1 ");
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "q=%7B%7D&limit=2")))), "c3 b2 ");
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "q=%7B%7D&start=1699999960&end=1699999980")))),
            "b2 ");
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "q=%7B%7D&end=1699999940")))), "a1 ")
      << "the whole second of the end counts";
}

TEST_F(TempoTest, SearchTakesTagsAndDurations) {
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "tags=service.name%3Dsho")))), "c3 a1 ");
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "tags=http.status_code%3D404")))), "c3 ");
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "tags=k8s.io%2Fpod%3Dp-1")))), "a1 ");
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "name=vacuum&limit=3")))), "b2 ");
  EXPECT_EQ(trace_ids(parsed(get(with(kSearch, "minDuration=150ms&maxDuration=500ms")))), "a1 ");
}

struct ErrorCase {
  std::string_view path, query, expected;
};

TEST_F(TempoTest, ErrorsAreTempoTexts) {
  for (const ErrorCase& c : {
           ErrorCase{kSearch, "q=%7B+foo+%7D",
                     "400 invalid TraceQL query: parse error at line 1, col 3: unknown identifier: "
                     "foo"},
           ErrorCase{kSearch, "q=%7B%7D&tags=a%3Db",
                     "400 invalid request: can't specify tags and q in the same query"},
           ErrorCase{kSearch, "tags=a%3D1+a%3D2", "400 invalid tags: tag a has been set twice"},
           ErrorCase{kSearch, "q=%7B%7D&limit=0", "400 invalid limit: must be a positive number"},
           ErrorCase{kSearch, "q=%7B%7D&limit=300000", "400 limit 300000 exceeds max limit 262144"},
           ErrorCase{kSearch, "q=%7B%7D&spss=101",
                     "400 spans per span set exceeds 100. received 101"},
           ErrorCase{kSearch, "q=%7B%7D&start=1&end=1000000",
                     "400 range specified by start and end exceeds 168h0m0s. received start=1 "
                     "end=1000000"},
           ErrorCase{kSearch, "maxDuration=1s&minDuration=2s",
                     "400 invalid maxDuration: must be greater than minDuration"},
           ErrorCase{kSearch, "minDuration=x",
                     "400 invalid minDuration: time: invalid duration \"x\""},
           ErrorCase{kSearch, "q=%7B%7D%7Crate%28%29",
                     "400 invalid TraceQL query: a metrics query, which /api/metrics/query_range "
                     "answers"},
           ErrorCase{kRange, "q=%7B%7D", "400 not a metrics query"},
           ErrorCase{kInstant, "q=%7B%7D", "400 not a metrics query"},
           ErrorCase{kRange, "q=%7B%7D%7Crate%28%29&step=x",
                     "400 cannot parse \"x\" to a valid duration"},
           ErrorCase{kRange, "q=%7B%7D%7Crate%28%29&step=-1",
                     "400 cannot parse \"-1\": step must be positive"},
           ErrorCase{kRange, "q=%7B%7D%7Crate%28%29&start=x",
                     "400 could not parse 'start' parameter: cannot parse \"x\" to a valid "
                     "timestamp"},
           ErrorCase{kRange, "q=%7B%7D%7Crate%28%29&start=5&end=5",
                     "400 end must be greater than start"},
           ErrorCase{kRange, "q=%7B%7D%7Crate%28%29&start=1&end=1000000",
                     "400 metrics query time range exceeds the maximum allowed duration of "
                     "168h0m0s"},
           ErrorCase{kRange, "q=%7B%7D%7Crate%28%29&start=0&end=3600&step=1ms",
                     "400 step of 1ms is too small, minimum step for given range is 360ms"},
           ErrorCase{"/api/search/tags", "scope=x", "400 invalid scope: x"},
           ErrorCase{"/api/v2/search/tag/foo/values", "",
                     "400 please provide a valid tagName: failed to parse identifier foo: parse "
                     "error at line 1, col 2: unknown identifier: foo"},
           ErrorCase{"/api/v2/search/tag/span.x", "", "404 404 page not found"},
       })
    EXPECT_EQ(ask(with(c.path, c.query)), c.expected) << c.path << "?" << c.query;
}

TEST_F(TempoTest, AnUnreadableMetricsQueryNamesTheStage) {
  const std::string bad = "q=%7B+foo+%7D%7Crate%28%29";
  EXPECT_EQ(ask(with(kRange, bad)), "400 parse error at line 1, col 3: unknown identifier: foo");
  EXPECT_EQ(ask(with(kInstant, bad)),
            "400 compiling query: parse error at line 1, col 3: unknown identifier: foo");
}

// ---- tags

TEST_F(TempoTest, TagNamesComeByScope) {
  EXPECT_EQ(parsed(get("/api/search/tags")).at("tagNames"),
            Json({"db.rows", "http.status_code", "k8s.io/pod", "service.name", "team"}));
  EXPECT_EQ(parsed(get("/api/search/tags?scope=event")).at("tagNames"), Json({"exception.type"}));
  const Json scopes = parsed(get("/api/v2/search/tags")).at("scopes");
  std::map<std::string, std::size_t> counts;
  for (const Json& scope : scopes)
    counts[scope.at("name").get<std::string>()] = scope.at("tags").size();
  EXPECT_EQ(counts, (std::map<std::string, std::size_t>{
                        {"intrinsic", 25}, {"resource", 2}, {"span", 3}, {"event", 1}}));
  const Json one =
      parsed(get("/api/v2/search/tags?scope=resource&q=%7B+name+%3D+%22select%22+%7D"));
  EXPECT_EQ(one.at("scopes"),
            Json::parse(R"([{"name":"resource","tags":["service.name","team"]}])"));
  EXPECT_EQ(parsed(get("/api/v2/search/tags?scope=intrinsic")).at("scopes").size(), 1U);
}

TEST_F(TempoTest, TagValuesHaveTypes) {
  const auto values = [&](std::string_view path) { return parsed(get(path)).at("tagValues"); };
  EXPECT_EQ(values("/api/v2/search/tag/resource.service.name/values"),
            Json::parse(R"([{"type":"string","value":"db"},{"type":"string","value":"shop"}])"));
  EXPECT_EQ(values("/api/v2/search/tag/span.db.rows/values"),
            Json::parse(R"([{"type":"float","value":"1.5"}])"));
  EXPECT_EQ(values("/api/v2/search/tag/.http.status_code/values").size(), 2U);
  EXPECT_EQ(values("/api/v2/search/tag/span.k8s.io/pod/values"),
            Json::parse(R"([{"type":"string","value":"p-1"}])"));
  EXPECT_EQ(values("/api/v2/search/tag/status/values"),
            Json::parse(R"([{"type":"keyword","value":"error"},{"type":"keyword","value":"ok"},
                            {"type":"keyword","value":"unset"}])"));
  EXPECT_EQ(values("/api/v2/search/tag/kind/values").size(), 6U);
  EXPECT_FALSE(parsed(get("/api/v2/search/tag/duration/values")).contains("tagValues"));
}

TEST_F(TempoTest, TagValuesFollowTheRestOfTheQuery) {
  const auto values = [&](std::string_view query) {
    const Json answer = parsed(get(with("/api/v2/search/tag/resource.team/values", query)));
    std::string texts;
    for (const Json& value : answer.value("tagValues", Json::array()))
      texts += value.at("value").get<std::string>() + " ";
    return texts;
  };
  EXPECT_EQ(values("q=%7B+name+%3D+%22vacuum%22+%7D"), "data ");
  EXPECT_EQ(values("q=%7B+name+%3D+%7D"), "data web ") << "unfinished conditions count as true";
  EXPECT_EQ(values("q=%7B+resource.team+%3D+%22new%22+%7D"), "new ");
  std::string many = "q=%7B+name+%3D+%220%22";
  for (int i = 1; i < 102; ++i) many += "+%7C%7C+name+%3D+%22" + std::to_string(i) + "%22";
  EXPECT_EQ(ask(with("/api/v2/search/tag/resource.team/values", many + "+%7D")),
            "400 maximum condition groups reached (limit: 100). Reduce the number of OR conditions "
            "in the query");
}

TEST_F(TempoTest, OldTagValuesAreBare) {
  EXPECT_EQ(parsed(get("/api/search/tag/service.name/values")).at("tagValues"),
            Json({"db", "shop"}));
  EXPECT_EQ(parsed(get("/api/search/tag/k8s.io/pod/values")).at("tagValues"), Json({"p-1"}));
  EXPECT_EQ(parsed(get("/api/search/tag/status.code/values")).at("tagValues"),
            Json({"error", "ok", "unset"}));
  EXPECT_EQ(parsed(get("/api/search/tag/name/values")).at("tagValues").size(), 3U);
}

// ---- metrics

TEST_F(TempoTest, MetricsHaveSamplesAtTheRightEdge) {
  const Json answer = parsed(
      get(with(kRange,
               "q=%7B%7D%7Ccount_over_time%28%29by%28resource.service.name%29&start=1699999920&end="
               "1700000000&step=20s&exemplars=10")));
  ASSERT_EQ(answer.at("series").size(), 2U);
  const Json& db = answer.at("series").at(0);
  EXPECT_EQ(db.at("labels"),
            Json::parse(R"([{"key":"resource.service.name","value":{"stringValue":"db"}}])"));
  std::string samples;
  for (const Json& sample : db.at("samples"))
    samples += sample.at("timestampMs").get<std::string>() + "=" +
               (sample.contains("value") ? std::to_string(sample.at("value").get<int>()) : "") +
               " ";
  EXPECT_EQ(samples,
            "1699999920000= 1699999940000= 1699999960000=1 1699999980000=1 1700000000000= ");
}

TEST_F(TempoTest, InstantMetricsHaveOneValue) {
  const Json answer = parsed(get(with(kInstant, "query=%7B%7D%7Ccount_over_time%28%29&since=5m")));
  EXPECT_EQ(answer.at("series").size(), 1U);
  EXPECT_EQ(answer.at("series").at(0).at("value"), 4);
  EXPECT_FALSE(answer.at("series").at(0).contains("samples"));
}

TEST_F(TempoTest, TimesComeInManyForms) {
  for (const std::string_view range :
       {"start=1699999000&end=1700000000", "start=1699999000000000000&end=1700000000000000000",
        "start=1699999000.5&end=1700000000.0",
        "start=2023-11-14T21:56:40Z&end=2023-11-14T22:13:20Z", "since=1h"})
    EXPECT_EQ(parsed(get(with(kInstant, "q=%7B%7D%7Ccount_over_time%28%29&" + std::string(range))))
                  .at("series")
                  .at(0)
                  .at("value"),
              4)
        << range;
}

TEST_F(TempoTest, MoreSeriesThanAskedForAreCutWithAWord) {
  const Json answer =
      parsed(get(with(kRange, "q=%7B%7D%7Crate%28%29by%28name%29&since=5m&step=60s&maxSeries=1")));
  EXPECT_EQ(answer.at("series").size(), 1U);
  EXPECT_EQ(answer.at("status"), "PARTIAL");
  EXPECT_TRUE(answer.at("message").get<std::string>().starts_with(
      "Response exceeds maximum series limit of 1, a partial response is returned."));
}

// ---- who sees a part

TEST_F(TempoTest, RestrictedTokensSeeTheirSpansAndNoFigures) {
  const Json answer = parsed(get(with(kSearch, "q=%7B%7D"), "glc_web"));
  EXPECT_EQ(trace_ids(answer), "c3 a1 ");
  EXPECT_EQ(answer.at("metrics"), Json::object());
  EXPECT_EQ(answer.at("traces").at(1).at("serviceStats"),
            Json::parse(R"({"shop":{"spanCount":1}})"));
  EXPECT_EQ(ask("/api/traces/b2", "glc_web"), "404 ");
  EXPECT_EQ(ask("/api/v2/traces/b2", "glc_web"), ask("/api/v2/traces/77", "glc_web"));
  const Json trace = parsed(get("/api/v2/traces/a1", "glc_web"));
  EXPECT_EQ(trace.at("trace").at("resourceSpans").size(), 1U);
  EXPECT_EQ(trace.at("metrics"), Json::object());
  EXPECT_EQ(parsed(get("/api/search/tag/team/values", "glc_web")).at("tagValues"), Json({"web"}));
  EXPECT_EQ(parsed(get("/api/search/tags", "glc_web")).at("tagNames"),
            Json({"http.status_code", "k8s.io/pod", "service.name", "team"}));
}

// ---- the read-only mount

TEST_F(TempoTest, TheReadOnlyMountHasTheSameAnswers) {
  for (const std::string_view path :
       {"/api/echo", "/api/status/buildinfo", "/api/search?q=%7B%7D", "/api/search/tags",
        "/api/v2/search/tags", "/api/search/tag/team/values", "/api/v2/search/tag/name/values",
        "/api/traces/a1", "/api/v2/traces/a1", "/api/metrics/query?q=%7B%7D%7Crate%28%29",
        "/api/metrics/query_range?q=%7B%7D%7Crate%28%29"}) {
    const auto response = get("/traces-api-bearer" + std::string(path));
    EXPECT_EQ(response.status, 200) << path << response.body;
    EXPECT_EQ(response.body, get(path).body) << path;
    EXPECT_EQ(response.headers.find("Cache-Control"), "no-store");
  }
}

TEST_F(TempoTest, TheReadOnlyMountRefusesTheRestInJson) {
  const auto refused = [&](net::Method method, std::string_view path, std::string_view token) {
    const auto response = send(method, "/traces-api-bearer" + std::string(path), token);
    return std::to_string(response.status) + " " + response.body;
  };
  using net::Method;
  EXPECT_TRUE(refused(Method::Get, "/api/search", "").starts_with("401 {\"status\":\"error\""));
  EXPECT_TRUE(refused(Method::Get, "/nowhere", "").starts_with("401 {\"status\":\"error\""));
  EXPECT_EQ(refused(Method::Get, "/api/search", "glc_write"),
            R"(403 {"status":"error","errorType":"unauthorized",)"
            R"("error":"endpoint not available on the read-only API"})");
  EXPECT_EQ(refused(Method::Get, "/nowhere", "glc_read"),
            R"(404 {"status":"error","errorType":"not_found","error":"not found"})");
  EXPECT_TRUE(refused(Method::Post, "/api/overrides", "glc_read").starts_with("403 "));
  EXPECT_TRUE(refused(Method::Get, "/status/config", "glc_read").starts_with("403 "));
  EXPECT_TRUE(refused(Method::Get, "/flush", "glc_read").starts_with("403 "));
  EXPECT_TRUE(refused(Method::Delete, "/api/traces/a1", "glc_read").starts_with("405 "));
  EXPECT_TRUE(refused(Method::Post, "/api/search", "glc_read").starts_with("405 "));
  EXPECT_TRUE(store_->deleted.empty());
}

}  // namespace
}  // namespace gantry::api
