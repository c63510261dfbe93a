// Tests of the small parts: JSON, UTF-8, hashes, arena, cancellation, worker pool, own metrics, log
// lines.

#include <atomic>
#include <latch>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/arena.h"
#include "core/cancel.h"
#include "core/hash.h"
#include "core/json_writer.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "core/utf8.h"
#include "core/worker_pool.h"

namespace gantry::core {
namespace {

TEST(JsonWriter, PlacesCommas) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.key("a").begin_array().integer(1).string("x\"\n").null().end_array();
  json.key("b").begin_object().end_object();
  json.key("c").boolean(true);
  json.key("d").number(0.5);
  json.end_object();
  EXPECT_EQ(out, R"({"a":[1,"x\"\n",null],"b":{},"c":true,"d":0.5})");
}

TEST(JsonWriter, EscapesWhatMustBe) {
  const auto text = [](std::string_view in, HtmlEscape html = HtmlEscape::No) {
    std::string out;
    append_json_string(out, in, html);
    return out;
  };
  EXPECT_EQ(text("\x01\x1f"), R"("\u0001\u001f")");
  EXPECT_EQ(text("a<b"), R"("a<b")");
  EXPECT_EQ(text("a<b&", HtmlEscape::Yes), R"("a\u003cb\u0026")");
  EXPECT_EQ(text("\xff"
                 "a"),
            "\"\xef\xbf\xbd"
            "a\"");
  EXPECT_EQ(text("\xc3\xa9"), "\"\xc3\xa9\"");
}

TEST(Utf8, RefusesMalformedText) {
  EXPECT_TRUE(is_valid_utf8("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const std::string_view bad :
       {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

RC_GTEST_PROP(Utf8, DecodesWhatItEncodes, ()) {
  const auto code_point = static_cast<char32_t>(*rc::gen::inRange(0, 0xd800));
  std::string text;
  append_utf8(text, code_point);
  std::size_t position = 0;
  RC_ASSERT(next_code_point(text, position) == code_point);
  RC_ASSERT(position == text.size());
}

TEST(Crc32c, MatchesKnownVectors) {
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8a9136aaU);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62a8ab43U);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
}

RC_GTEST_PROP(Crc32c, ContinuesWhereItStopped, (const std::string& a, const std::string& b)) {
  RC_ASSERT(crc32c(as_bytes(b), crc32c(as_bytes(a))) == crc32c(as_bytes(a + b)));
}

TEST(Arena, KeepsEveryPieceApart) {
  Arena arena;
  std::vector<std::string_view> copies;
  for (int i = 0; i < 3000; ++i) {
    copies.push_back(arena.copy(
        std::string(static_cast<std::size_t>(i * 7 % 300 + 1), static_cast<char>('a' + i % 26))));
    if (i % 500 == 0) copies.push_back(arena.copy(std::string(100'000, 'Z')));
  }
  for (const std::string_view copy : copies) {
    EXPECT_EQ(copy.find_first_not_of(copy.front()), std::string_view::npos);
  }
  arena.clear();
  EXPECT_EQ(arena.copy("after"), "after");
}

TEST(CancelToken, FiresOnceForAllCopies) {
  const CancelToken token;
  const CancelToken copy = token;
  EXPECT_TRUE(copy.check());
  token.cancel();
  EXPECT_EQ(copy.check().error().code, Code::Cancelled);
  EXPECT_EQ(CancelToken::with_deadline(monotonic_ns() - 1).check().error().code,
            Code::DeadlineExceeded);
  EXPECT_TRUE(CancelToken::with_deadline(monotonic_ns() + 1'000'000'000'000).check());
}

TEST(CancelToken, NarrowedTokenFollowsItsParent) {
  const CancelToken parent;
  const CancelToken late = parent.narrowed_to(monotonic_ns() + 1'000'000'000'000);
  EXPECT_TRUE(late.check());
  EXPECT_EQ(parent.narrowed_to(monotonic_ns() - 1).check().error().code, Code::DeadlineExceeded);
  const CancelToken sibling = parent.narrowed_to(late.deadline_ns());
  sibling.cancel();
  EXPECT_TRUE(late.check());
  parent.cancel();
  EXPECT_EQ(late.check().error().code, Code::Cancelled);
}

TEST(WorkerPool, RunsEveryIndexOnce) {
  WorkerPool pool({.thread_count = 3});
  std::vector<std::atomic<int>> hits(1000);
  pool.parallel_for(hits.size(), [&](std::size_t i) { ++hits[i]; });
  for (const auto& hit : hits) EXPECT_EQ(hit, 1);
}

TEST(WorkerPool, LoopsNestWithoutStarving) {
  WorkerPool pool({.thread_count = 2});
  std::atomic<int> total{0};
  pool.parallel_for(8, [&](std::size_t) { pool.parallel_for(8, [&](std::size_t) { ++total; }); });
  EXPECT_EQ(total, 64);
}

TEST(WorkerPool, RefusesWhatItCannotQueue) {
  std::latch has_started(1);
  std::latch may_end(1);
  WorkerPool pool({.thread_count = 1, .queue_length_max = 1, .name = "tiny"});
  ASSERT_TRUE(pool.submit([&] {
    has_started.count_down();
    may_end.wait();
  }));
  has_started.wait();
  ASSERT_TRUE(pool.submit([] {}));
  const auto refused = pool.submit([] {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the tiny queue is full (1 tasks)");
  may_end.count_down();
}

TEST(MetricRegistry, CollectsFamiliesInOrder) {
  MetricRegistry registry;
  registry.counter("b_total", "B.", {{"x", "1"}}).add(2);
  registry.counter("b_total", "B.", {{"x", "1"}}).add(3);
  registry.gauge("a", "A.").set(1.5);
  registry.callback(MetricType::Gauge, "c", "C.", {}, [] { return 7.0; });
  auto& histogram = registry.histogram("h", "H.", {1, 2});
  histogram.observe(1);
  histogram.observe(1.5);
  histogram.observe(9);
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 4U);
  EXPECT_EQ(families[0].name, "a");
  EXPECT_EQ(families[1].samples.at(0).value, 5);
  EXPECT_EQ(families[2].samples.at(0).value, 7);
  std::vector<double> values;
  for (const auto& sample : families[3].samples) values.push_back(sample.value);
  EXPECT_EQ(values, (std::vector<double>{1, 2, 3, 11.5, 3}));
  EXPECT_EQ(families[3].samples.at(2).labels.at(0).second, "+Inf");
}

TEST(Log, RendersLogfmtAndJson) {
  EXPECT_EQ(log::render(log::Format::Logfmt, log::Level::Info, 1435781451781, "wal replayed",
                        {{"segments", 3}, {"path", "/a b"}, {"ok", true}, {"ratio", 0.5}}),
            "time=2015-07-01T20:10:51.781Z level=info msg=\"wal replayed\" segments=3 path=\"/a "
            "b\" ok=true ratio=0.5");
  EXPECT_EQ(log::render(log::Format::Json, log::Level::Error, 0, "x", {{"line", "a\nb"}}),
            R"({"time":"1970-01-01T00:00:00.000Z","level":"error","msg":"x","line":"a\nb"})");
}

}  // namespace
}  // namespace gantry::core
