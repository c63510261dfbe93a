#include "gateway/sse_reader.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::gateway {
namespace {

using Events = std::vector<std::pair<std::string, std::string>>;

/// Events as (name, data); an error ends the list as ("error", its message).
Events drain(SseReader& reader) {
  Events events;
  while (true) {
    const auto event = reader.next();
    if (!event) {
      events.emplace_back("error", event.error().message);
      return events;
    }
    if (!*event) return events;
    events.emplace_back((*event)->name, (*event)->data);
  }
}

/// As if `text` arrived in pieces of these sizes (the last one again and again).
Events read(std::string_view text, const std::vector<std::size_t>& sizes,
            SseReader::Options options = {}) {
  SseReader reader(options);
  Events all;
  const auto take = [&] {
    for (auto& event : drain(reader)) {
      const bool is_again = event.first == "error" && !all.empty() && all.back() == event;
      if (!is_again) all.push_back(std::move(event));
    }
  };
  for (std::size_t at = 0, i = 0; at < text.size(); ++i) {
    const std::size_t size = sizes[std::min(i, sizes.size() - 1)];
    reader.push(text.substr(at, size));
    at += size;
    take();
  }
  reader.end();
  take();
  return all;
}

Events read(std::string_view text) {
  return read(text, {text.size() + 1});
}

struct Case {
  std::string name;
  std::string text;
  Events expected;
};

class SseReaderTest : public ::testing::TestWithParam<Case> {};

TEST_P(SseReaderTest, ReadsWholeAndByteByByte) {
  EXPECT_EQ(read(GetParam().text), GetParam().expected);
  EXPECT_EQ(read(GetParam().text, {1}), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Streams, SseReaderTest,
    ::testing::Values(
        Case{"nothing", "", {}},
        Case{"line_feeds", "data: a\n\ndata: b\n\n", {{"", "a"}, {"", "b"}}},
        Case{"crlf", "data: a\r\n\r\ndata: b\r\n\r\n", {{"", "a"}, {"", "b"}}},
        Case{"returns", "data: a\r\rdata: b\r\r", {{"", "a"}, {"", "b"}}},
        Case{"mixed_ends",
             "data: a\r\n\ndata: b\n\rdata: c\r\r\n",
             {{"", "a"}, {"", "b"}, {"", "c"}}},
        Case{"no_space", "data:a\n\ndata:  b\n\n", {{"", "a"}, {"", " b"}}},
        Case{"two_lines", "data: {\ndata: }\n\n", {{"", "{\n}"}}},
        Case{"empty_data", "data\n\ndata:\ndata:\n\n", {{"", ""}, {"", "\n"}}},
        Case{"comments",
             ": OPENROUTER PROCESSING\n\n:\n\ndata: a\n: in between\ndata: b\n\n",
             {{"", "a\nb"}}},
        Case{"names", "event: ping\ndata: {}\n\ndata: x\n\n", {{"ping", "{}"}, {"", "x"}}},
        Case{"last_name_counts", "event: a\nevent: b\ndata: x\n\n", {{"b", "x"}}},
        Case{"name_alone", "event: ping\n\ndata: x\n\n", {{"", "x"}}},
        Case{"other_fields", "id: 1\nretry: 10\nfoo: bar\n data: no\ndata: x\n\n", {{"", "x"}}},
        Case{"unfinished_event", "data: a\n\ndata: [DONE]\n", {{"", "a"}, {"", "[DONE]"}}},
        Case{"unfinished_line", "data: a\n\ndata: [DONE]", {{"", "a"}, {"", "[DONE]"}}},
        Case{"unfinished_return", "data: a\r", {{"", "a"}}},
        Case{"unfinished_name", "data: a\n\nevent: x", {{"", "a"}}},
        Case{"byte_order_mark",
             "\xef\xbb\xbf"
             "data: a\n\n",
             {{"", "a"}}},
        Case{"mark_later",
             "data: a\n\n\xef\xbb\xbf"
             "data: b\n\n",
             {{"", "a"}}},
        Case{"half_mark", "\xef\xbb", {}},
        Case{"characters",
             "data: \xc3\xa9\xf0\x9f\x98\x80\n\n",
             {{"", "\xc3\xa9\xf0\x9f\x98\x80"}}}),
    [](const auto& c) { return c.param.name; });

TEST(SseReader, GivesAnEventWithTheByteThatEndsIt) {
  SseReader reader;
  reader.push("data: a\r\n\r");
  ASSERT_EQ(drain(reader), (Events{{"", "a"}}));
  reader.push("\ndata: b\n\n");
  EXPECT_EQ(drain(reader), (Events{{"", "b"}}));
}

TEST(SseReader, RefusesALongLine) {
  const SseReader::Options options{.line_bytes_max = 10};
  const Events expected = {{"", "1234"},
                           {"error", "a line of the event stream is longer than 10 bytes"}};
  const std::string text = "data: 1234\n\ndata: 12345\n\ndata: a\n\n";
  EXPECT_EQ(read(text, {100}, options), expected);
  EXPECT_EQ(read(text, {1}, options), expected);
}

TEST(SseReader, RefusesALineThatNeverEnds) {
  SseReader reader({.line_bytes_max = 1000});
  reader.push(std::string(1000, 'x'));
  EXPECT_TRUE(reader.next().has_value());
  reader.push("x");
  const auto result = reader.next();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::TooLarge);
}

TEST(SseReader, RefusesALargeEvent) {
  const SseReader::Options options{.event_bytes_max = 6};
  EXPECT_EQ(read("data: abc\ndata: de\n\n", {3}, options), (Events{{"", "abc\nde"}}));
  EXPECT_EQ(read("data: abc\ndata: def\n\n", {3}, options),
            (Events{{"error", "an event of the stream is larger than 6 bytes"}}));
  std::string feeds;
  for (int i = 0; i < 10; ++i) feeds += "data\n";
  EXPECT_EQ(read(feeds, {3}, options),
            (Events{{"error", "an event of the stream is larger than 6 bytes"}}));
}

RC_GTEST_PROP(SseReaderProperty, GivesTheSameHoweverTheStreamIsCut, ()) {
  static const std::vector<std::string> kPieces = {"data: {\"a\":1}",
                                                   "data:x",
                                                   "data",
                                                   "event: ping",
                                                   ": comment",
                                                   "\n",
                                                   "\n",
                                                   "\r\n",
                                                   "\r",
                                                   "\n\n",
                                                   "\r\n\r\n",
                                                   "\xef\xbb\xbf",
                                                   "id: 7",
                                                   "\xc3\xa9",
                                                   "data: a long line that is refused"};
  std::string text;
  for (const auto i : *rc::gen::container<std::vector<std::size_t>>(
           rc::gen::inRange<std::size_t>(0, kPieces.size()))) {
    text += kPieces[i];
  }
  const SseReader::Options options{.line_bytes_max = 30, .event_bytes_max = 40};
  auto sizes = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 9));
  sizes.push_back(1);
  RC_ASSERT(read(text, sizes, options) == read(text, {text.size() + 1}, options));
}

}  // namespace
}  // namespace gantry::gateway
