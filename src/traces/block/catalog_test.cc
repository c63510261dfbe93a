#include "traces/block/catalog.h"

#include <map>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "storage/directory.h"
#include "storage/faulty_file_system.h"
#include "traces/block/block_merge.h"
#include "traces/block/testing/block_support.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using storage::FaultyFileSystem;
using storage::ItemCache;

Manifest some_manifest() {
  Manifest manifest;
  manifest.next_block_number = 9;
  manifest.deletion_sequence = 5;
  manifest.log_start = {.segment = 7, .offset_bytes = 16};
  manifest.blocks = {{.number = 1},
                     {.number = 8, .clean_sequence = 4, .start_ns_min = -7, .end_ns_max = 7}};
  manifest.deletions = {{.id = test_trace_id(3), .sequence = 5}};
  manifest.quarantined = {{.name = "blocks/x", .start_ns_min = -1, .end_ns_max = 2}};
  return manifest;
}

TEST(TracesManifest, RoundTripThroughAFile) {
  FaultyFileSystem files;
  const auto missing = read_manifest(files, "/manifest");
  ASSERT_TRUE(missing);
  EXPECT_TRUE(missing->blocks.empty());
  ASSERT_TRUE(write_manifest(files, "/manifest", some_manifest()));
  const auto manifest = read_manifest(files, "/manifest");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->next_block_number, 9U);
  EXPECT_EQ(manifest->deletion_sequence, 5U);
  EXPECT_EQ(manifest->log_start, (storage::LogPosition{.segment = 7, .offset_bytes = 16}));
  ASSERT_EQ(manifest->blocks.size(), 2U);
  EXPECT_EQ(manifest->blocks[1].clean_sequence, 4U);
  EXPECT_EQ(manifest->blocks[1].start_ns_min, -7);
  EXPECT_EQ(manifest->blocks[1].end_ns_max, 7);
  EXPECT_EQ(manifest->blocks[1].path(), "blocks/000000000008");
  ASSERT_EQ(manifest->deletions.size(), 1U);
  EXPECT_EQ(manifest->deletions[0].id, test_trace_id(3));
  EXPECT_EQ(manifest->quarantined.at(0).start_ns_min, -1);
}

TEST(TracesManifest, AnyFlippedBitIsNoticed) {
  std::vector<std::byte> bytes;
  encode_manifest(some_manifest(), bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(decode_manifest(damaged)) << bit;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_manifest(std::span(bytes).first(size))) << size;
  }
}

TEST(TracesManifest, ANewerFormatIsRefusedByName) {
  std::vector<std::byte> bytes;
  encode_manifest(Manifest(), bytes);
  bytes[8] = std::byte{2};
  const auto manifest = decode_manifest(bytes);
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code, Code::FailedPrecondition);
  EXPECT_NE(manifest.error().message.find("has format 2, this program knows up to 1"),
            std::string::npos);
}

TEST(DeletedTraces, HideWhatIsOlder) {
  const std::vector<TraceDeletion> deletions = {{.id = test_trace_id(1), .sequence = 2},
                                                {.id = test_trace_id(2), .sequence = 3},
                                                {.id = test_trace_id(1), .sequence = 5}};
  const DeletedTraces deleted(deletions);
  EXPECT_TRUE(deleted.hides(test_trace_id(1), 0));
  EXPECT_TRUE(deleted.hides(test_trace_id(1), 4));
  EXPECT_FALSE(deleted.hides(test_trace_id(1), 5));
  EXPECT_FALSE(deleted.hides(test_trace_id(2), 3));
  EXPECT_FALSE(deleted.hides(test_trace_id(3), 0));
  EXPECT_EQ(deleted.find(test_trace_id(3)), nullptr);
}

/// A catalog over files that outlive it, as a store uses it.
struct Opened {
  explicit Opened(FaultyFileSystem& file_system)
      : files(file_system), catalog(files, "/t", cache) {}

  /// Writes a block of one trace per number, not yet committed.
  Result<std::shared_ptr<const Block>> write(const std::vector<std::uint64_t>& traces,
                                             std::uint64_t clean_sequence = 0,
                                             std::uint64_t start_ns = kTestNowNs) {
    const BlockEntry entry{.number = catalog.next_block_number(), .clean_sequence = clean_sequence};
    const storage::Path path = catalog.block_path(entry.number);
    GANTRY_TRY(const storage::Path temporary, storage::prepare_directory(files, path));
    GANTRY_TRY(auto writer, BlockWriter::create(files, temporary, {}));
    telemetry::SpanBatch batch;
    for (const std::uint64_t trace : traces) {
      add_test_span(batch, {.trace = trace, .id = trace, .start_ns = start_ns});
    }
    GANTRY_CHECK(writer->add_group(*make_table(batch)->snapshot()));
    GANTRY_CHECK(writer->finish());
    GANTRY_CHECK(storage::publish_directory(files, temporary, path, storage::FilesSynced::Yes));
    return catalog.open_block(entry);
  }

  Result<void> flush(const std::vector<std::uint64_t>& traces, std::uint32_t log_segment,
                     std::uint64_t start_ns = kTestNowNs) {
    GANTRY_TRY(auto block, write(traces, catalog.deletion_sequence(), start_ns));
    return catalog.commit_flush(std::move(block), {.segment = log_segment});
  }

  /// Merges all blocks, applying deletions.
  Result<void> merge() {
    const auto view = catalog.view();
    std::vector<const BlockReader*> readers;
    for (const auto& block : view->blocks) readers.push_back(block->reader.get());
    const BlockEntry entry{.number = catalog.next_block_number(),
                           .clean_sequence = catalog.deletion_sequence()};
    const storage::Path path = catalog.block_path(entry.number);
    GANTRY_TRY(const storage::Path temporary, storage::prepare_directory(files, path));
    GANTRY_TRY(auto writer, BlockWriter::create(files, temporary, {.level = 1}));
    BlockMergeOptions options;
    options.is_deleted = [&](const telemetry::TraceId& id, std::size_t input) {
      return view->deleted->hides(id, view->blocks[input]->entry.clean_sequence);
    };
    GANTRY_CHECK(merge_blocks(readers, options, *writer));
    GANTRY_CHECK(writer->finish());
    GANTRY_CHECK(storage::publish_directory(files, temporary, path, storage::FilesSynced::Yes));
    GANTRY_TRY(auto output, catalog.open_block(entry));
    return catalog.commit_merge(view->blocks, std::move(output));
  }

  /// What a query would see.
  [[nodiscard]] std::multiset<std::uint64_t> traces(std::uint64_t up_to) const {
    std::multiset<std::uint64_t> found;
    const auto view = catalog.view();
    for (const auto& block : view->blocks) {
      for (std::uint64_t trace = 1; trace <= up_to; ++trace) {
        if (view->deleted->hides(test_trace_id(trace), block->entry.clean_sequence)) continue;
        const auto place = block->reader->find_trace(test_trace_id(trace));
        if (place && *place) found.insert(trace);
      }
    }
    return found;
  }

  FaultyFileSystem& files;
  ItemCache cache{1 << 20};
  Catalog catalog;
};

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() { EXPECT_TRUE(files_.create_directories("/t")); }

  [[nodiscard]] std::vector<std::string> names(const char* directory) {
    std::vector<std::string> out;
    const auto entries = files_.list(directory);
    EXPECT_TRUE(entries);
    for (const auto& entry : *entries) out.push_back(entry.name);
    return out;
  }

  FaultyFileSystem files_;
};

TEST_F(CatalogTest, PublishesWhatIsCommitted) {
  Opened store(files_);
  ASSERT_TRUE(store.catalog.open());
  const auto before = store.catalog.view();
  ASSERT_TRUE(store.flush({1, 2}, 3));
  EXPECT_TRUE(before->blocks.empty()) << "a view does not change";
  EXPECT_GT(store.catalog.view()->version, before->version);
  EXPECT_EQ(store.catalog.log_start().segment, 3U);
  EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{1, 2}));
  ASSERT_TRUE(store.catalog.commit_flush(nullptr, {.segment = 4}));
  Opened again(files_);
  ASSERT_TRUE(again.catalog.open());
  EXPECT_EQ(again.catalog.log_start().segment, 4U);
  EXPECT_EQ(again.traces(5), (std::multiset<std::uint64_t>{1, 2}));
}

TEST_F(CatalogTest, AMergeReplacesItsInputs) {
  Opened store(files_);
  ASSERT_TRUE(store.catalog.open());
  ASSERT_TRUE(store.flush({1, 2}, 1));
  ASSERT_TRUE(store.flush({2, 3}, 2));
  const auto old = store.catalog.view();
  ASSERT_TRUE(store.merge());
  EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{1, 2, 3}));
  store.catalog.remove_retired();
  EXPECT_EQ(names("/t/blocks").size(), 3U) << "somebody may still read the inputs";
  EXPECT_TRUE(old->blocks[0]->reader->verify());
  const auto gone = store.catalog.commit_merge(old->blocks, nullptr);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::FailedPrecondition);
}

TEST_F(CatalogTest, AMergesOutputTakesThePlaceOfItsFirstInput) {
  Opened store(files_);
  ASSERT_TRUE(store.catalog.open());
  for (std::uint64_t trace = 1; trace <= 4; ++trace) ASSERT_TRUE(store.flush({trace}, 1));
  const auto output = store.write({2, 4});
  ASSERT_TRUE(output);
  const auto blocks = store.catalog.view()->blocks;
  ASSERT_TRUE(store.catalog.commit_merge(std::vector{blocks[1], blocks[3]}, *output));
  EXPECT_EQ(store.catalog.view()->blocks, (std::vector{blocks[0], *output, blocks[2]}));
}

TEST_F(CatalogTest, RemovesWhatNobodyReads) {
  Opened store(files_);
  ASSERT_TRUE(store.catalog.open());
  ASSERT_TRUE(store.flush({1}, 1));
  ASSERT_TRUE(store.flush({2}, 2));
  ASSERT_TRUE(store.merge());
  store.catalog.remove_retired();
  EXPECT_EQ(names("/t/blocks"), (std::vector<std::string>{"000000000003"}));
  ASSERT_TRUE(store.catalog.commit_removal(store.catalog.view()->blocks));
  store.catalog.remove_retired();
  EXPECT_TRUE(names("/t/blocks").empty());
}

TEST_F(CatalogTest, RemovesDirectoriesThatNothingRefersTo) {
  {
    Opened store(files_);
    ASSERT_TRUE(store.catalog.open());
    ASSERT_TRUE(store.flush({1}, 1));
    ASSERT_TRUE(store.write({2}));
    ASSERT_TRUE(files_.create_directories("/t/blocks/000000000009.tmp"));
  }
  Opened again(files_);
  ASSERT_TRUE(again.catalog.open());
  EXPECT_EQ(names("/t/blocks"), (std::vector<std::string>{"000000000001"}));
}

TEST_F(CatalogTest, DeletionsHideOldSpansOnlyAndAreForgotten) {
  Opened store(files_);
  ASSERT_TRUE(store.catalog.open());
  ASSERT_TRUE(store.flush({1, 2}, 1));
  EXPECT_EQ(*store.catalog.commit_deletion(test_trace_id(1)), 1U);
  EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{2}));
  ASSERT_TRUE(store.catalog.forget_deletions());
  EXPECT_FALSE(store.catalog.view()->deleted->empty()) << "the first block still has the trace";
  ASSERT_TRUE(store.flush({1}, 2));
  EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{1, 2})) << "a new trace of that id";
  {
    Opened again(files_);
    ASSERT_TRUE(again.catalog.open());
    EXPECT_EQ(again.traces(5), (std::multiset<std::uint64_t>{1, 2}));
  }
  ASSERT_TRUE(store.merge());
  EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{1, 2}));
  ASSERT_TRUE(store.catalog.forget_deletions());
  EXPECT_TRUE(store.catalog.view()->deleted->empty());
  EXPECT_EQ(*store.catalog.commit_deletion(test_trace_id(2)), 2U) << "sequences only grow";
  ASSERT_TRUE(store.merge());
  ASSERT_TRUE(store.catalog.forget_deletions());
  EXPECT_TRUE(store.catalog.view()->deleted->empty()) << "no block has it any more";
}

TEST_F(CatalogTest, SetsDamagedBlocksAside) {
  {
    Opened store(files_);
    ASSERT_TRUE(store.catalog.open());
    ASSERT_TRUE(store.flush({1}, 1));
    ASSERT_TRUE(store.flush({2}, 2));
    ASSERT_TRUE(store.flush({3}, 3));
    ASSERT_TRUE(store.catalog.quarantine(2));
    ASSERT_TRUE(store.catalog.quarantine(2)) << "twice is once";
    EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{1, 3}));
    ASSERT_EQ(store.catalog.view()->quarantined.size(), 1U);
    EXPECT_EQ(store.catalog.view()->quarantined[0].name, "blocks/000000000002");
    EXPECT_EQ(store.catalog.view()->quarantined[0].start_ns_min,
              static_cast<std::int64_t>(kTestNowNs));
  }
  ASSERT_TRUE(files_.corrupt("/t/blocks/000000000003/spans", 3, 1));
  Opened again(files_);
  ASSERT_TRUE(again.catalog.open());
  EXPECT_EQ(again.traces(5), (std::multiset<std::uint64_t>{1}));
  ASSERT_EQ(again.catalog.view()->quarantined.size(), 2U);
  EXPECT_EQ(again.catalog.view()->quarantined[1].start_ns_min,
            static_cast<std::int64_t>(kTestNowNs))
      << "known although its footer cannot be read";
  EXPECT_EQ(names("/t/quarantine"), (std::vector<std::string>{"000000000002", "000000000003"}));
}

TEST_F(CatalogTest, ForgetsWhatWasSetAsideWhenAllThatWasAsOldIsGone) {
  Opened store(files_);
  ASSERT_TRUE(store.catalog.open());
  const std::uint64_t later = kTestNowNs + 10'000'000'000;
  ASSERT_TRUE(store.flush({1}, 1));
  ASSERT_TRUE(store.flush({2}, 2));
  ASSERT_TRUE(store.flush({3}, 3, later));
  ASSERT_TRUE(store.catalog.quarantine(1));
  const auto blocks = store.catalog.view()->blocks;
  ASSERT_TRUE(store.catalog.commit_removal(std::span(blocks).last(1)));
  EXPECT_EQ(store.catalog.view()->quarantined.size(), 1U);
  ASSERT_TRUE(store.flush({4}, 4, later));
  ASSERT_TRUE(store.catalog.commit_removal(std::span(blocks).first(1)));
  EXPECT_TRUE(store.catalog.view()->quarantined.empty());
}

TEST_F(CatalogTest, AFailedCommitChangesNothing) {
  Opened store(files_);
  ASSERT_TRUE(store.catalog.open());
  ASSERT_TRUE(store.flush({1}, 1));
  const auto block = store.write({2});
  ASSERT_TRUE(block);
  files_.inject({.operation = FaultyFileSystem::Operation::Sync});
  EXPECT_FALSE(store.catalog.commit_flush(*block, {.segment = 2}));
  EXPECT_EQ(store.catalog.log_start().segment, 1U);
  EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{1}));
  files_.inject({.operation = FaultyFileSystem::Operation::Sync});
  EXPECT_FALSE(store.catalog.commit_deletion(test_trace_id(1)));
  EXPECT_EQ(store.traces(5), (std::multiset<std::uint64_t>{1}));
  EXPECT_EQ(store.catalog.deletion_sequence(), 0U);
}

// Power fails at a random operation of a random history; what was committed is there afterwards,
// and of the change at hand all or nothing.
RC_GTEST_PROP(CatalogCrashTest, WhatWasCommittedSurvivesAPowerCut, ()) {
  FaultyFileSystem files;
  RC_ASSERT(files.create_directories("/t").has_value());
  RC_ASSERT(files.sync_directory("/").has_value());
  std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
  std::multiset<std::uint64_t> before;
  std::multiset<std::uint64_t> after;
  std::uint64_t next_trace = 1;
  for (int life = 0; life < 3; ++life) {
    {
      Opened store(files);
      RC_ASSERT(store.catalog.open().has_value());
      RC_ASSERT((store.traces(100) == before || store.traces(100) == after));
      before = after = store.traces(100);
      files.inject({.skip_count = random() % 150, .hit_count = 1'000'000});
      while (true) {
        Result<void> done;
        const std::uint64_t choice = random() % 4;
        if (choice < 2) {
          after.insert(next_trace);
          done = store.flush({next_trace++}, 1);
        } else if (choice == 2) {
          done = store.merge();
        } else {
          after.erase(next_trace / 2);
          const auto deleted = store.catalog.commit_deletion(test_trace_id(next_trace / 2));
          if (!deleted) done = std::unexpected(deleted.error());
        }
        if (!done) break;
        before = after;
      }
      files.clear_injections();
      files.cut_power(FaultyFileSystem::Unsynced::RandomPages, random());
    }
  }
  Opened store(files);
  RC_ASSERT(store.catalog.open().has_value());
  RC_ASSERT((store.traces(100) == before || store.traces(100) == after));
  RC_ASSERT(store.catalog.view()->quarantined.empty());
}

}  // namespace
}  // namespace gantry::traces
