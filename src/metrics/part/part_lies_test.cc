// Parts whose checksums agree and whose contents do not: what only a bug or ill will writes must
// still end in DataLoss, in the reader as in a merge.

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "metrics/encoding/value_block.h"
#include "metrics/part/part_format.h"
#include "metrics/part/part_merge.h"
#include "metrics/part/part_reader.h"
#include "storage/byte_cursor.h"
#include "storage/checksummed_file.h"
#include "storage/encoding/integer_block.h"
#include "storage/faulty_file_system.h"

namespace gantry::metrics {
namespace {

/// A part of one or two series of four samples, 10, 20, 30 and 40, with something wrong.
struct Lie {
  std::string name;
  std::vector<std::vector<std::uint32_t>> label_symbols = {{0, 1}, {0, 2}};
  std::vector<TimeColumn> columns = {{.time_ms_min = 10, .time_ms_max = 40, .sample_count = 4}};
  std::vector<std::uint8_t> block_columns = {0};  ///< Of each series' blocks.
  std::uint8_t flags = 0;
  std::uint32_t value_frame = 1;
  std::uint32_t value_offset = 0;
};

void write(storage::FileSystem& files, const Lie& lie) {
  std::vector<std::byte> times;
  storage::encode_timestamps(std::vector<std::int64_t>{10, 20, 30, 40}, times);
  std::vector<std::byte> values;
  encode_values(std::vector<double>{1, 2, 4, 8}, values);
  ASSERT_TRUE(files.create_directories("/p"));
  auto data = *storage::FrameWriter::create(files, "/p/data", kPartDataFormat);
  ASSERT_TRUE(data->add(times, 0));
  ASSERT_TRUE(data->add(values, 0));
  ASSERT_TRUE(data->finish({}));

  std::vector<std::byte> labels;
  std::vector<std::byte> lists;
  std::vector<std::uint32_t> offsets;
  for (const auto& symbols : lie.label_symbols) {
    storage::ByteWriter(labels).varint(symbols.size() / 2);
    for (const std::uint32_t symbol : symbols) storage::ByteWriter(labels).varint(symbol);
    offsets.push_back(static_cast<std::uint32_t>(lists.size()));
    storage::ByteWriter writer(lists);
    writer.varint(lie.block_columns.size());
    for (const std::uint8_t column : lie.block_columns) {
      writer.u8(lie.flags);
      writer.varint(column);
      writer.varint(lie.value_frame);
      writer.varint(lie.value_offset);
      writer.varint(values.size());
    }
  }
  std::vector<std::byte> blocks;
  storage::ByteWriter writer(blocks);
  writer.u32(static_cast<std::uint32_t>(lie.columns.size()));
  writer.u32(static_cast<std::uint32_t>(offsets.size()));
  std::vector<TimeColumn> columns = lie.columns;
  for (TimeColumn& column : columns) {
    if (column.bytes == 0) column.bytes = static_cast<std::uint32_t>(times.size());
  }
  writer.bytes(std::as_bytes(std::span(columns)));
  writer.bytes(std::as_bytes(std::span(offsets)));
  writer.bytes(lists);
  std::vector<std::byte> symbols;
  for (const char* text : {"__name__", "a", "b", "job"}) storage::ByteWriter(symbols).string(text);

  auto index = *storage::FrameWriter::create(files, "/p/index", kPartIndexFormat);
  PartFooter footer;
  footer.summary.series_count = offsets.size();
  footer.series = {{.series_count = static_cast<std::uint32_t>(offsets.size()),
                    .label_frame = *index->add(labels, 0),
                    .block_frame = *index->add(blocks, 0)}};
  footer.symbols = {{.symbol_count = 4, .frame = *index->add(symbols, 0)}};
  std::vector<std::byte> bytes;
  append_footer(footer, bytes);
  ASSERT_TRUE(index->finish(bytes));
}

/// Lists and reads every series. The last error, if any.
Result<void> read_all(const PartReader& part) {
  GANTRY_TRY(const auto cursor, part.series());
  PartReader::Scratch scratch;
  while (true) {
    GANTRY_TRY(const bool has_series, cursor->next());
    if (!has_series) return {};
    promql::SampleColumns out;
    GANTRY_CHECK(part.read(cursor->ordinal(), std::numeric_limits<std::int64_t>::min(),
                           std::numeric_limits<std::int64_t>::max(), scratch, out));
  }
}

Result<void> merge_all(storage::FileSystem& files, const PartReader& part) {
  GANTRY_CHECK(files.create_directories("/m"));
  GANTRY_TRY(const auto writer, PartWriter::create(files, "/m", {}));
  const PartReader* input = &part;
  return merge_parts({&input, 1}, {}, *writer);
}

TEST(PartLiesTest, TheHonestPartIsRead) {
  storage::FaultyFileSystem files;
  FrameCache cache(1 << 20);
  write(files, {});
  const auto part = PartReader::open(files, "/p", cache);
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_TRUE(read_all(**part));
  EXPECT_TRUE(merge_all(files, **part));
}

class PartLieTest : public testing::TestWithParam<Lie> {};

TEST_P(PartLieTest, IsDataLoss) {
  storage::FaultyFileSystem files;
  FrameCache cache(1 << 20);
  write(files, GetParam());
  const auto part = PartReader::open(files, "/p", cache);
  ASSERT_TRUE(part) << part.error().message;
  const auto read = read_all(**part);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::DataLoss);
  EXPECT_TRUE((*part)->is_damaged());
  const auto again = PartReader::open(files, "/p", cache);
  ASSERT_TRUE(again);
  const auto merged = merge_all(files, **again);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::DataLoss);
  EXPECT_TRUE((*again)->is_damaged()) << "so that its owner knows which input it was";
}

INSTANTIATE_TEST_SUITE_P(
    Lies, PartLieTest,
    testing::Values(
        Lie{.name = "series_out_of_order", .label_symbols = {{0, 2}, {0, 1}}},
        Lie{.name = "series_twice", .label_symbols = {{0, 1}, {0, 1}}},
        Lie{.name = "labels_out_of_order", .label_symbols = {{3, 1, 0, 2}}},
        Lie{.name = "label_twice", .label_symbols = {{0, 1, 0, 1}}},
        Lie{.name = "no_such_symbol", .label_symbols = {{0, 4}}},
        Lie{.name = "no_such_column", .block_columns = {1}},
        Lie{.name = "no_samples", .columns = {{.time_ms_min = 10, .time_ms_max = 40}}},
        Lie{.name = "ends_before_it_begins",
            .columns = {{.time_ms_min = 40, .time_ms_max = 10, .sample_count = 4}}},
        Lie{.name = "other_times",
            .columns = {{.time_ms_min = 10, .time_ms_max = 50, .sample_count = 4}}},
        Lie{.name = "other_count",
            .columns = {{.time_ms_min = 10, .time_ms_max = 40, .sample_count = 5}}},
        Lie{.name = "blocks_overlap", .block_columns = {0, 0}},
        Lie{.name = "unknown_flag", .flags = 0x10}, Lie{.name = "no_such_frame", .value_frame = 9},
        Lie{.name = "outside_its_frame", .value_offset = 7},
        Lie{.name = "floats_called_histograms", .flags = kBlockIsHistogram},
        Lie{.name = "column_outside_its_frame",
            .columns = {{.time_ms_min = 10, .time_ms_max = 40, .sample_count = 4, .offset = 1}}}),
    [](const auto& lie) { return lie.param.name; });

}  // namespace
}  // namespace gantry::metrics
