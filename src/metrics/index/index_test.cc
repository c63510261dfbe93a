#include <map>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/hash.h"
#include "metrics/index/id_table.h"
#include "metrics/index/label_order.h"
#include "metrics/index/posting_list.h"
#include "metrics/index/series_cache.h"
#include "metrics/index/series_registry.h"
#include "metrics/index/symbol_table.h"

namespace gantry::metrics {
namespace {

RC_GTEST_PROP(IdTable, BehavesLikeAMap, ()) {
  IdTable table;
  std::map<std::uint32_t, std::uint64_t> model;  // id -> hash; few hashes, so that they collide
  const int count = *rc::gen::inRange(0, 300);
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(count); ++i) {
    if (!model.empty() && *rc::gen::inRange(0, 3) == 0) {
      auto victim = model.begin();
      std::advance(victim, *rc::gen::inRange<std::size_t>(0, model.size()));
      table.erase(victim->second, victim->first);
      model.erase(victim);
    } else {
      const std::uint64_t hash = *rc::gen::inRange<std::uint64_t>(0, 40) << 30;
      table.insert(hash, i);
      model.emplace(i, hash);
    }
    RC_ASSERT(table.size() == model.size());
  }
  for (const auto& [id, hash] : model) {
    RC_ASSERT(table.find(hash, [&](std::uint32_t other) { return other == id; }) == id);
  }
  RC_ASSERT(table.find(std::uint64_t{41} << 30, [](std::uint32_t) { return true; }) ==
            IdTable::kNone);
}

RC_GTEST_PROP(PostingList, KeepsAppendedIdsAndFilters, ()) {
  PostingList list;
  std::vector<std::uint32_t> model;
  std::uint32_t next = 0;
  const int rounds = *rc::gen::inRange(1, 6);
  for (int round = 0; round < rounds; ++round) {
    const int count = *rc::gen::inRange(0, 30);
    for (int i = 0; i < count; ++i) {
      next += *rc::gen::inRange<std::uint32_t>(1, 5);
      list.append(next);
      model.push_back(next);
    }
    const std::uint32_t divisor = *rc::gen::inRange<std::uint32_t>(1, 5);
    const auto keep = [&](std::uint32_t id) { return id % divisor == 0; };
    list.filter(keep);
    std::erase_if(model, [&](std::uint32_t id) { return !keep(id); });
    RC_ASSERT(std::vector(list.ids().begin(), list.ids().end()) == model);
  }
  const PostingList moved = std::move(list);
  RC_ASSERT(std::vector(moved.ids().begin(), moved.ids().end()) == model);
}

TEST(SymbolTable, GivesEachTextOneIdAndForgetsWhatNobodyUses) {
  SymbolTable table;
  const std::uint32_t up = table.intern("up");
  EXPECT_EQ(table.intern("up"), up);
  table.add_reference(up);
  const std::uint32_t job = table.intern("job");
  table.add_reference(job);
  EXPECT_EQ(table.text(up), "up");
  EXPECT_EQ(table.find("job"), job);
  table.drop_reference(job);
  EXPECT_EQ(table.find("job"), SymbolTable::kNone);
  const auto old = table.compact();
  EXPECT_EQ(table.text(up), "up");
  EXPECT_EQ(table.find("up"), up);
  EXPECT_NE(table.intern("job"), job);  // an id never gets another life
}

TEST(SeriesCache, KeepsKeysThatAreUsedAndForgetsOthers) {
  SeriesCache cache;
  // As codecs make them: the cache takes its slots from the key's bits as they are.
  const auto key = [](std::uint64_t i) { return core::hash128(std::to_string(i)); };
  const auto find = [&](std::uint64_t i) {
    const telemetry::BatchSeries series{.key = key(i)};
    std::uint32_t id = 0;
    cache.find({&series, 1}, {&id, 1});
    return id;
  };
  const SeriesCache::Entry kept{.key = key(1), .series = 1};
  const SeriesCache::Entry idle{.key = key(2), .series = 2};
  cache.insert({&kept, 1}, 0);
  cache.insert({&idle, 1}, 0);
  // Two generations go by; only the first key is asked for meanwhile.
  for (std::uint64_t i = 100; i < 100 + 200'000; ++i) {
    const SeriesCache::Entry entry{.key = key(i), .series = static_cast<std::uint32_t>(i)};
    cache.insert({&entry, 1}, 0);
    if (i % 1000 == 0) EXPECT_EQ(find(1), 1U);
  }
  EXPECT_EQ(find(1), 1U);
  EXPECT_EQ(find(2), SeriesCache::kNone);
  cache.clear();
  EXPECT_EQ(find(1), SeriesCache::kNone);
}

using Labels = std::vector<telemetry::LabelView>;

std::uint32_t add(SeriesRegistry& registry, const Labels& labels) {
  SeriesRegistry::Lookup lookup{.labels = labels};
  registry.add(std::span(&lookup, 1));
  return lookup.series;
}

TEST(SeriesRegistry, FindsWhatWasAddedByLabelsAndPostings) {
  SeriesRegistry registry;
  const Labels a{{.name = "__name__", .value = "up"}, {.name = "job", .value = "a"}};
  const Labels b{{.name = "__name__", .value = "up"}, {.name = "job", .value = "b"}};
  const std::uint32_t first = add(registry, a);
  const std::uint32_t second = add(registry, b);
  EXPECT_EQ(add(registry, a), first);
  EXPECT_NE(first, second);
  EXPECT_EQ(registry.format(second), "up{job=\"b\"}");
  EXPECT_TRUE(registry.is_less(first, second));
  const SeriesRegistry::Reader reader(registry);
  const auto ids =
      reader.postings().find(reader.symbols().find("__name__"), reader.symbols().find("up"));
  EXPECT_EQ(std::vector(ids.begin(), ids.end()), (std::vector{first, second}));
  EXPECT_TRUE(
      reader.postings().find(reader.symbols().find("job"), reader.symbols().find("up")).empty());
}

TEST(SeriesRegistry, CollectForgetsASeriesButNotWhatReadersHold) {
  SeriesRegistry registry;
  std::string long_value(100'000, 'x');
  std::vector<std::uint32_t> dead;
  std::vector<std::string> values;
  // Enough that compaction is worth it.
  for (int i = 0; i < 40; ++i) values.push_back(long_value + std::to_string(i));
  for (const std::string& value : values) {
    dead.push_back(add(registry, {{.name = "__name__", .value = value}}));
  }
  const std::uint32_t kept = add(registry, {{.name = "__name__", .value = "up"}});
  std::shared_ptr<Epoch> epoch;
  std::string_view text;
  std::span<const promql::LabelSymbols> labels;
  {
    const SeriesRegistry::Reader reader(registry);
    epoch = reader.epoch();
    labels = registry.record(dead[0]).label_span();
    text = registry.text(labels[0].value);
  }
  const std::size_t bytes_before = registry.memory().symbols;
  registry.collect(dead);
  EXPECT_EQ(text, values[0]);
  EXPECT_LT(registry.memory().symbols, bytes_before / 2);
  EXPECT_EQ(registry.format(kept), "up");
  EXPECT_EQ(registry.record(dead[0]).label_count, 0);
  const std::uint32_t again = add(registry, {{.name = "__name__", .value = values[0]}});
  EXPECT_GT(again, kept);
  EXPECT_EQ(registry.text(registry.record(again).label_span()[0].value), values[0]);
}

TEST(LabelOrder, StaysSortedAsSeriesComeAndGo) {
  SeriesRegistry registry;
  LabelOrder order(registry);
  const auto texts = [&](std::span<const std::uint32_t> ids) {
    std::vector<std::string> out;
    for (const std::uint32_t id : ids) out.push_back(registry.format(id));
    return out;
  };
  const std::uint32_t b = add(registry, {{.name = "__name__", .value = "b"}});
  add(registry, {{.name = "__name__", .value = "d"}});
  EXPECT_EQ(texts(order.update(registry.id_count())), (std::vector<std::string>{"b", "d"}));
  add(registry, {{.name = "__name__", .value = "c"}});
  add(registry, {{.name = "__name__", .value = "a"}});
  EXPECT_EQ(texts(order.update(registry.id_count())),
            (std::vector<std::string>{"a", "b", "c", "d"}));
  registry.collect({&b, 1});
  order.remove_dead();
  EXPECT_EQ(texts(order.update(registry.id_count())), (std::vector<std::string>{"a", "c", "d"}));
}

}  // namespace
}  // namespace gantry::metrics
