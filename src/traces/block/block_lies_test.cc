// Blocks whose checksums agree and whose contents do not: what only a bug or ill will writes must
// still end in DataLoss, or at least in an answer, in the reader as in a merge.

#include <functional>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "storage/byte_cursor.h"
#include "storage/faulty_file_system.h"
#include "traces/block/block_format.h"
#include "traces/block/block_merge.h"
#include "traces/block/block_reader.h"
#include "traces/block/column_codec.h"
#include "traces/block/testing/block_support.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using storage::ByteWriter;
using storage::FaultyFileSystem;
using storage::ItemCache;
using Bytes = std::vector<std::byte>;
using Integers = std::vector<std::int64_t>;

constexpr std::uint32_t kSpans = 6;

/// Six spans in two traces; each has an event.
FramesOfBlock honest_block(FaultyFileSystem& files) {
  telemetry::SpanBatch batch;
  for (std::uint64_t i = 1; i <= kSpans; ++i) {
    add_test_span(batch, {.trace = i % 2, .id = i, .parent = i > 2 ? i - 2 : 0});
  }
  const auto table = make_table(batch);
  ItemCache cache(0);
  EXPECT_TRUE(write_block(files, "/honest", cache, {table.get()}));
  return FramesOfBlock::read(files, "/honest");
}

Result<void> merge_all(storage::FileSystem& files, const BlockReader& block) {
  GANTRY_CHECK(files.create_directories("/merged"));
  GANTRY_TRY(const auto writer, BlockWriter::create(files, "/merged", {}));
  const BlockReader* input = &block;
  GANTRY_CHECK(merge_blocks({&input, 1}, {}, *writer));
  GANTRY_CHECK(writer->finish());
  return {};
}

Bytes numbers(const Integers& values) {
  Bytes out;
  ColumnEncoder(0).numbers(values, out);
  return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes varints(std::initializer_list<std::uint64_t> values) {
  Bytes out;
  for (const std::uint64_t value : values) ByteWriter(out).varint(value);
  return out;
}

struct Lie {
  std::string name;
  std::function<void(FramesOfBlock&, BlockFooter&, GroupDirectory&)> tell;
};

/// The column has other bytes, in a frame of its own.
Lie column(std::string name, FixedColumn which, Bytes bytes) {
  return {.name = std::move(name),
          .tell = [which, bytes](FramesOfBlock& block, BlockFooter&, GroupDirectory& directory) {
            ColumnPlace& place = directory.fixed[static_cast<std::size_t>(which)];
            place = {.frame = static_cast<std::uint32_t>(block.frames.size()),
                     .bytes = static_cast<std::uint32_t>(bytes.size())};
            block.frames.push_back(bytes);
          }};
}

Lie place(std::string name, std::function<void(ColumnPlace&)> change) {
  return {.name = std::move(name),
          .tell = [change](FramesOfBlock&, BlockFooter&, GroupDirectory& directory) {
            change(directory.fixed[static_cast<std::size_t>(FixedColumn::SpanIds)]);
          }};
}

/// The only page of the trace index.
Lie trace_page(std::string name, std::uint64_t first_hash, Bytes bytes) {
  return {.name = std::move(name),
          .tell = [first_hash, bytes](FramesOfBlock& block, BlockFooter& footer, GroupDirectory&) {
            footer.trace_pages.at(0).first_hash = first_hash;
            footer.trace_pages.at(0).frame = static_cast<std::uint32_t>(block.frames.size());
            block.frames.push_back(bytes);
          }};
}

class BlockLieTest : public testing::TestWithParam<Lie> {};

void write_lie(FaultyFileSystem& files, const Lie& lie) {
  FramesOfBlock block = honest_block(files);
  BlockFooter footer = *parse_footer(block.footer);
  const std::uint32_t at = footer.groups.at(0).directory_frame;
  const auto directory = parse_directory(block.frames.at(at));
  ASSERT_TRUE(directory);
  lie.tell(block, footer, *directory);
  block.frames.at(at).clear();
  append_directory(*directory, block.frames.at(at));
  block.footer.clear();
  append_footer(footer, block.footer);
  block.write(files, "/lie");
}

TEST(BlockLiesTest, TheHonestBlockIsRead) {
  FaultyFileSystem files;
  write_lie(files, {.tell = [](FramesOfBlock&, BlockFooter&, GroupDirectory&) {}});
  ItemCache cache(1 << 20);
  const auto block = BlockReader::open(files, "/lie", cache);
  ASSERT_TRUE(block) << block.error().message;
  EXPECT_TRUE(read_everything(**block));
  EXPECT_TRUE(merge_all(files, **block));
  EXPECT_FALSE((*block)->is_damaged());
}

TEST_P(BlockLieTest, IsDataLoss) {
  FaultyFileSystem files;
  write_lie(files, GetParam());
  ItemCache cache(1 << 20);
  const auto block = BlockReader::open(files, "/lie", cache);
  if (!block) {
    EXPECT_EQ(block.error().code, Code::DataLoss);
    return;
  }
  const auto read = read_everything(**block);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::DataLoss);
  EXPECT_TRUE((*block)->is_damaged());
}

INSTANTIATE_TEST_SUITE_P(
    Columns, BlockLieTest,
    testing::Values(
        column("no_such_trace", FixedColumn::Traces, numbers({0, 1, 0, 1, 0, 2})),
        column("negative_trace", FixedColumn::Traces, numbers({0, 1, 0, 1, 0, -1})),
        column("trace_without_spans", FixedColumn::Traces, numbers({0, 0, 0, 0, 0, 0})),
        column("too_few_traces", FixedColumn::Traces, numbers({0, 1, 0, 1, 0})),
        column("too_many_numbers", FixedColumn::Traces,
               numbers({0, 1, 0, 1, 0, 1}) + Bytes{std::byte{0}}),
        column("empty_column", FixedColumn::SpanIds, {}),
        column("no_such_resource", FixedColumn::Resources, numbers({0, 0, 0, 0, 0, 9})),
        column("no_such_scope", FixedColumn::Scopes, numbers({0, 0, 0, 0, 0, 9})),
        column("negative_duration", FixedColumn::Durations, numbers({1, 1, 1, 1, 1, -1})),
        column("kind_above_a_byte", FixedColumn::Kinds, numbers({1, 1, 1, 1, 1, 256})),
        column("parent_before_the_trace", FixedColumn::Parents, numbers({4, 0, 0, 0, 0, 0})),
        column("parent_after_the_trace", FixedColumn::Parents, numbers({0, 0, 3, 0, 0, 0})),
        column("negative_parent", FixedColumn::Parents, numbers({0, 0, -5, 0, 0, 0})),
        column("far_parent_without_id", FixedColumn::Parents, numbers({0, 0, 1, 0, 0, 0})),
        column("left_beyond_the_tree", FixedColumn::NestedSets,
               numbers({0, 0, 0, 0, 0, 13}) + numbers(Integers(6, 1)) + numbers(Integers(6, 1))),
        column("parent_below_the_root", FixedColumn::NestedSets,
               numbers(Integers(6, 0)) + numbers(Integers(6, 1)) + numbers(Integers(6, 2))),
        column("end_of_no_span", FixedColumn::Ends,
               varints({1, 0, 0}) + varints({12}) + numbers({5})),
        column("more_ends_than_spans", FixedColumn::Ends, varints({7})),
        column("event_of_no_span", FixedColumn::EventSpans, numbers({0, 1, 2, 3, 4, 6})),
        column("events_out_of_order", FixedColumn::EventSpans, numbers({1, 0, 2, 3, 4, 5})),
        column("text_not_in_dictionary", FixedColumn::Names,
               varints({1, 0}) + numbers({0}) + numbers({1}) + Bytes{std::byte{0}, std::byte{'x'}} +
                   numbers({0, 0, 0, 0, 0, 1})),
        column("more_texts_than_rows", FixedColumn::Names, varints({7, 0})),
        column("texts_of_huge_number", FixedColumn::Names, varints({1ULL << 62, 1ULL << 62})),
        column("prefix_longer_than_the_text_before", FixedColumn::Names,
               varints({2, 0}) + numbers({0, 2}) + numbers({1, 1}) +
                   Bytes{std::byte{0}, std::byte{'x'}, std::byte{'y'}} +
                   numbers({0, 0, 0, 0, 0, 1})),
        column("long_text_without_frame", FixedColumn::Names,
               varints({0, 1}) + Bytes{std::byte{0}} + numbers({300}) +
                   numbers({0, 0, 0, 0, 0, 0})),
        place("no_such_frame", [](ColumnPlace& at) { at.frame = 1000; }),
        place("outside_its_frame", [](ColumnPlace& at) { at.offset = 1U << 31; }),
        place("longer_than_its_frame", [](ColumnPlace& at) { at.bytes = 1U << 31; })),
    [](const auto& lie) { return lie.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Indexes, BlockLieTest,
    testing::Values(
        trace_page("no_such_group", 1, numbers({1, 2}) + numbers({0, 1}) + numbers({0, 1})),
        trace_page("no_such_trace_in_group", 1,
                   numbers({1, 2}) + numbers({0, 0}) + numbers({0, 2})),
        trace_page("hashes_out_of_order", 2, numbers({2, 1}) + numbers({0, 0}) + numbers({0, 1})),
        trace_page("other_first_hash", 7, numbers({1, 2}) + numbers({0, 0}) + numbers({0, 1})),
        trace_page("empty_page", 1, {}),
        Lie{"other_span_count",
            [](FramesOfBlock&, BlockFooter& footer, GroupDirectory&) {
              ++footer.groups[0].bounds.spans;
              ++footer.summary.spans;
            }},
        Lie{"spans_do_not_add_up",
            [](FramesOfBlock&, BlockFooter& footer, GroupDirectory&) { ++footer.summary.spans; }},
        Lie{"huge_table",
            [](FramesOfBlock&, BlockFooter&, GroupDirectory& directory) {
              directory.counts.events = kGroupRowsMax + 1;
            }},
        Lie{"attributes_out_of_order",
            [](FramesOfBlock&, BlockFooter&, GroupDirectory& directory) {
              std::swap(directory.attributes.front(), directory.attributes.back());
            }},
        Lie{"attribute_of_another_type",
            [](FramesOfBlock&, BlockFooter&, GroupDirectory& directory) {
              for (AttributeEntry& entry : directory.attributes) {
                if (entry.type == traceql::ColumnType::String) {
                  entry.type = traceql::ColumnType::Bool;
                }
              }
            }},
        Lie{"no_directory", [](FramesOfBlock&, BlockFooter& footer,
                               GroupDirectory&) { footer.groups[0].directory_frame = 0; }},
        Lie{"filter_outside_its_frame",
            [](FramesOfBlock&, BlockFooter& footer, GroupDirectory&) {
              footer.groups[0].text_filter.offset = 32;
            }},
        Lie{"filter_of_odd_size", [](FramesOfBlock&, BlockFooter& footer,
                                     GroupDirectory&) { footer.groups[0].text_filter.bytes -= 1; }},
        Lie{"trace_filter_elsewhere",
            [](FramesOfBlock& block, BlockFooter& footer, GroupDirectory&) {
              footer.trace_filter_frame = static_cast<std::uint32_t>(block.frames.size());
              block.frames.emplace_back(31);
            }}),
    [](const auto& lie) { return lie.param.name; });

bool is_answer_or_data_loss(const Result<void>& result) {
  return result.has_value() || result.error().code == Code::DataLoss;
}

RC_GTEST_PROP(BlockLiesTest, AnyChangedFrameEndsInAnAnswerOrInDataLoss, ()) {
  std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
  FaultyFileSystem files;
  RandomBatches batches(random() % 8);
  telemetry::SpanBatch batch;
  batches.fill(batch, 30);
  const auto table = make_table(batch);
  ItemCache none(0);
  RC_ASSERT(write_block(files, "/b", none, {table.get()}, {.compression_level = 0}) != nullptr);
  FramesOfBlock block = FramesOfBlock::read(files, "/b");
  const std::size_t victim = random() % (block.frames.size() + 1);
  Bytes& bytes = victim == block.frames.size() ? block.footer : block.frames[victim];
  for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
    if (bytes.empty()) break;
    if (random() % 8 == 0) {
      bytes.resize(random() % bytes.size());
    } else {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
  }
  block.write(files, "/lie");
  const auto lie = BlockReader::open(files, "/lie", none);
  if (!lie) {
    RC_ASSERT(lie.error().code == Code::DataLoss);
    return;
  }
  RC_ASSERT(is_answer_or_data_loss(read_everything(**lie)));
  RC_ASSERT(is_answer_or_data_loss(merge_all(files, **lie)));
}

}  // namespace
}  // namespace gantry::traces
