#include "traceql/subset_group.h"

#include <limits>
#include <random>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "traceql/testing/group_dump.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using testing::MemorySource;
using testing::SpanBuilder;

/// Which of the numbered spans are built.
using Keep = std::set<std::uint32_t>;

Static random_value(std::mt19937& random, std::uint32_t number) {
  switch (random() % 4) {
    case 0:
      return Static::of_string(fmt::format("text-{}", number % 3));
    case 1:
      return Static::of_int(number);
    case 2:
      return Static::of_float(0.5 + number);
    default:
      return Static::of_bool(number % 2 == 0);
  }
}

/// The same spans for the same seed, those not in `keep` left out.
telemetry::SpanBatch build_spans(std::uint32_t seed, std::uint32_t count, const Keep& keep) {
  std::mt19937 random(seed);
  SpanBuilder build;
  for (std::uint32_t i = 0; i < count; ++i) {
    // Everything is drawn before the span is left out, so that the others do not change.
    const std::uint32_t resource = random() % 4;
    const std::uint32_t scope = random() % 2;
    const std::uint32_t trace = random() % 5;
    const std::uint64_t parent = random() % 3 == 0 ? 0 : 1 + random() % count;
    const std::uint64_t start = random() % 1000;
    const std::uint64_t length = random() % 50;
    const Static own = random_value(random, i);
    const bool has_event = random() % 3 == 0;
    const bool has_link = random() % 4 == 0;
    if (!keep.contains(i)) continue;
    build.resource({{"service.name", Static::of_string(fmt::format("service-{}", resource))},
                    {"only", resource == 3 ? Static::of_int(7) : Static::of_string("x")}});
    build.scope(scope == 0 ? "a" : "b", "1", {{"n", Static::of_int(scope)}});
    const std::string name = fmt::format("name-{}", i % 4);
    build.span({.trace = trace + 1,
                .id = i + 1,
                .parent = parent,
                .name = name,
                .start_ns = start,
                .end_ns = start + length,
                .kind = static_cast<telemetry::SpanKind>(i % 6),
                .status = static_cast<telemetry::SpanStatus>(i % 3),
                .status_message = i % 3 == 2 ? "bad" : ""});
    build.attribute("mixed", own);
    build.attribute(i % 2 == 0 ? "even" : "odd", Static::of_int(i));
    if (has_event) build.event("boom", start, {{"mixed", own}});
    if (has_link) build.link(trace + 9, i + 1, {{"why", Static::of_string(name)}});
  }
  return std::move(build).batch();
}

/// All spans as one group, and the source that it lives in.
struct Whole {
  explicit Whole(telemetry::SpanBatch batch) : source(testing::one_batch(std::move(batch)), {}) {
    auto opened = source.open({.end_ns = std::numeric_limits<std::int64_t>::max()}, CancelToken());
    EXPECT_TRUE(opened);
    snapshot = *std::move(opened);
    EXPECT_EQ(snapshot->groups().size(), 1U);
    group = *snapshot->open(0);
  }

  MemorySource source;
  std::unique_ptr<SpanSnapshot> snapshot;
  std::unique_ptr<SpanGroup> group;
};

TEST(SubsetGroup, IsAsIfTheOtherSpansHadNeverBeen) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed + 1000);
    const std::uint32_t count = 1 + random() % 40;
    Keep all;
    Keep kept;
    for (std::uint32_t i = 0; i < count; ++i) {
      all.insert(i);
      if (random() % 2 == 0) kept.insert(i);
    }
    if (kept.empty()) continue;

    Whole whole(build_spans(seed, count, all));
    RowSet rows(count);
    const auto ids = *whole.group->span_ids();
    for (std::uint32_t row = 0; row < count; ++row)
      if (kept.contains(static_cast<std::uint32_t>(ids[row] - 1))) rows.add(row);
    auto subset = make_subset_group(std::move(whole.group), rows);
    ASSERT_TRUE(subset);
    Whole expected(build_spans(seed, count, kept));

    ASSERT_EQ(testing::dump(**subset), testing::dump(*expected.group)) << "seed " << seed;
    const GroupCounts& counts = (*subset)->counts();
    EXPECT_EQ(counts.spans, kept.size());
    EXPECT_EQ(counts.events, expected.group->counts().events) << "seed " << seed;
    EXPECT_EQ(counts.links, expected.group->counts().links) << "seed " << seed;
    EXPECT_EQ(counts.traces, expected.group->counts().traces) << "seed " << seed;
  }
}

TEST(SubsetGroup, DictionariesHoldNothingThatIsGone) {
  SpanBuilder build;
  build.resource({{"owner", Static::of_string("secret-team")}});
  build.span({.id = 1, .name = "secret-name", .status_message = "secret-message"});
  build.attribute("secret-key", Static::of_string("secret-value"));
  build.attribute("shared", Static::of_string("secret-shared"));
  build.event("secret-event", 1);
  build.resource({{"owner", Static::of_string("public-team")}});
  build.span({.id = 2, .name = "public"});
  build.attribute("shared", Static::of_string("public-shared"));
  Whole whole(std::move(build).batch());
  RowSet rows(2);
  rows.add((*whole.group->span_ids())[0] == 2 ? 0 : 1);
  auto subset = make_subset_group(std::move(whole.group), rows);
  ASSERT_TRUE(subset);
  SpanGroup& group = **subset;

  EXPECT_EQ(group.counts().resources, 1U);
  std::vector<std::string> texts;
  const auto add = [&](std::span<const std::string_view> dictionary) {
    texts.insert(texts.end(), dictionary.begin(), dictionary.end());
  };
  add(group.names()->dictionary);
  add(group.status_messages()->dictionary);
  add(group.event_names()->dictionary);
  for (const Table table :
       {Table::Span, Table::Resource, Table::Event, Table::Link, Table::Instrumentation}) {
    add(*group.keys(table));
    for (const std::string_view key : {"owner", "secret-key", "shared"})
      for (const Column& column : *group.columns({.table = table, .key = key}))
        add(column.dictionary);
  }
  for (const std::string& text : texts) EXPECT_FALSE(text.contains("secret")) << text;
  EXPECT_TRUE(group.columns({.table = Table::Span, .key = "secret-key"})->empty());
}

}  // namespace
}  // namespace gantry::traceql
