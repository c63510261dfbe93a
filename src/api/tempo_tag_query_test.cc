#include "api/tempo_tag_query.h"

#include <gtest/gtest.h>

#include "traceql/parser.h"

namespace gantry::api {
namespace {

/// The TraceQL of logfmt, or the error.
std::string translated(std::string_view tags) {
  const auto parsed = parse_tempo_tags(tags);
  return parsed ? tags_as_traceql(*parsed) : "error: " + parsed.error();
}

struct Case {
  std::string_view tags, expected;
};

TEST(TempoTagQuery, IsOneFilter) {
  for (const Case& c : {
           Case{"", "{  }"},
           Case{"service.name=shop", R"({ resource.service.name =~ ".*shop.*" })"},
           Case{"service.name=a.b", R"({ resource.service.name =~ ".*a\\.b.*" })"},
           Case{R"(name="GET /" root.name=r root.service.name=s)",
                R"({ name =~ ".*GET /.*" && rootName =~ ".*r.*" && rootServiceName =~ ".*s.*" })"},
           Case{"status.code=error", "{ status = error }"},
           Case{"status.code=2", R"({ (.status.code = "2" || .status.code = 2) })"},
           Case{"  http.status_code=200  ok=true",
                R"({ (.http.status_code = "200" || .http.status_code = 200) && )"
                R"((.ok = "true" || .ok = true) })"},
           Case{R"(q="say \"hi\"")", R"({ .q = "say \"hi\"" })"},
           Case{"k8s.io/pod=p-1", R"({ .k8s.io/pod = "p-1" })"},
           Case{"alone", R"({ .alone = "" })"},
           Case{"a=1 a=2", "error: tag a has been set twice"},
           Case{"=x", "error: unexpected '=' at pos 1"},
           Case{R"(a="x)", "error: unterminated quoted value at pos 5"},
       })
    EXPECT_EQ(translated(c.tags), c.expected) << c.tags;
}

TEST(TempoTagQuery, EveryTagMakesAQueryThatParses) {
  for (const std::string_view tags :
       {"", "service.name=a+b", "name=x", "root.name=(x)", "status.code=ok", "a.b-c/d=1", "x=\\",
        "a{b=c", R"(k="v w")"}) {
    const std::string query = translated(tags);
    const auto parsed = traceql::parse(query);
    EXPECT_TRUE(parsed) << query << ": " << (parsed ? "" : parsed.error().message);
  }
}

}  // namespace
}  // namespace gantry::api
