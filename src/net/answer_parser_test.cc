// Framing of answers, at every place where the bytes may be split.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "net/answer_parser_internal.h"

namespace gantry::net {
namespace {

constexpr std::size_t kHeaderBytesMax = 1024;

/// "200 body", "… | kept" when the connection may be used again, or "error: …".
std::string parse_in_parts(const std::vector<std::string_view>& parts,
                           AnswerParser::Asked asked = AnswerParser::Asked::Other) {
  AnswerParser parser(kHeaderBytesMax, asked);
  std::string buffer;
  std::string body;
  for (const std::string_view part : parts) {
    buffer += part;
    for (std::size_t count = 1; count > 0 && !buffer.empty() && !parser.is_done();) {
      const auto taken = parser.put(buffer);
      if (!taken) return "error: " + taken.error().message;
      count = *taken;
      buffer.erase(0, count);
      if (parser.has_head()) body += parser.take_piece();
    }
  }
  if (!parser.is_done()) {
    const auto ended = parser.put_end();
    if (!ended) return "error: " + ended.error().message;
  }
  std::string text = std::to_string(parser.status()) + " " + body;
  if (parser.keeps_alive()) text += " | kept";
  if (!buffer.empty()) text += " | left: " + buffer;
  return text;
}

struct AnswerCase {
  std::string_view name, input, expected;
  AnswerParser::Asked asked = AnswerParser::Asked::Other;
};

class AnswerParserTest : public ::testing::TestWithParam<AnswerCase> {};

TEST_P(AnswerParserTest, ReadsTheSameHoweverItIsSplit) {
  const auto& [name, input, expected, asked] = GetParam();
  EXPECT_EQ(parse_in_parts({input}, asked), expected);
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    EXPECT_EQ(parse_in_parts({input.substr(0, cut), input.substr(cut)}, asked), expected) << cut;
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < input.size(); ++i) bytes.push_back(input.substr(i, 1));
  EXPECT_EQ(parse_in_parts(bytes, asked), expected) << "byte by byte";
}

constexpr std::string_view kCut = "error: the connection was closed before the answer was whole";

std::string case_name(const ::testing::TestParamInfo<AnswerCase>& info) {
  return std::string(info.param.name);
}

INSTANTIATE_TEST_SUITE_P(
    Framing, AnswerParserTest,
    ::testing::Values(
        AnswerCase{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                   "200 hello | kept"},
        AnswerCase{"length_0", "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", "429  | kept"},
        AnswerCase{"chunks",
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5\r\nhello\r\n1;a=b\r\n \r\nA\r\nworld12345\r\n0\r\n\r\n",
                   "200 hello world12345 | kept"},
        AnswerCase{"no_chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                   "200  | kept"},
        AnswerCase{"trailer",
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "2\r\nhi\r\n0\r\nX-Late: yes\r\n\r\n",
                   "200 hi | kept"},
        AnswerCase{"to_the_end", "HTTP/1.1 200 OK\r\n\r\nall of it", "200 all of it"},
        AnswerCase{"http_1_0", "HTTP/1.0 200 OK\r\n\r\nold", "200 old"},
        AnswerCase{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
                   "200 hi"},
        AnswerCase{"no_content", "HTTP/1.1 204 No Content\r\n\r\n", "204  | kept"},
        AnswerCase{"not_modified", "HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", "304  | kept"},
        AnswerCase{"head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200  | kept",
                   AnswerParser::Asked::Head},
        AnswerCase{"interim",
                   "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                   "200 hi | kept"},
        AnswerCase{"cut_header", "HTTP/1.1 200 OK\r\nContent-Le", kCut},
        AnswerCase{"cut_length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", kCut},
        AnswerCase{"cut_chunk",
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", kCut},
        AnswerCase{"cut_interim", "HTTP/1.1 100 Continue\r\n\r\n", kCut},
        AnswerCase{"upgrade", "HTTP/1.1 101 Switching\r\n\r\n",
                   "error: the answer has the status 101"},
        AnswerCase{"both_lengths",
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                   "error: malformed HTTP answer: multiple Content-Length"}),
    case_name);

TEST(AnswerParserLimits, BoundsTheHeader) {
  const std::string large = "HTTP/1.1 200 OK\r\nA: " + std::string(2000, 'a') + "\r\n\r\n";
  EXPECT_EQ(parse_in_parts({large}), "error: a header of the answer is larger than 1024 bytes");
  const std::string chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=";
  EXPECT_EQ(parse_in_parts({chunk, std::string(2000, 'a')}),
            "error: a header of the answer is larger than 1024 bytes");
  std::string interim;
  for (int i = 0; i < 20; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(parse_in_parts({interim}), "error: there is no end of interim answers (1xx)");
}

TEST(AnswerParserLimits, RefusesWhatIsNotHttp1) {
  for (const std::string_view input :
       {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/2 200\r\n\r\n", "\x16\x03\x01\x02\x11\x01\r\n\r\n"}) {
    EXPECT_TRUE(parse_in_parts({input}).starts_with("error: malformed HTTP answer")) << input;
  }
}

TEST(AnswerParserEnd, LeavesWhatIsBehindTheAnswer) {
  EXPECT_EQ(parse_in_parts({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1"}),
            "200 hi | kept | left: HTTP/1.1");
}

TEST(AnswerParserEnd, KeepsTrailersOutOfTheHeader) {
  AnswerParser parser(kHeaderBytesMax, AnswerParser::Asked::Other);
  const std::string input =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n0\r\nC: d\r\n\r\n";
  EXPECT_TRUE(parser.is_untouched());
  const auto taken = parser.put(input);
  ASSERT_TRUE(taken);
  EXPECT_FALSE(parser.is_untouched());
  EXPECT_EQ(parser.headers().find("a"), "b");
  EXPECT_FALSE(parser.headers().contains("C"));
  ASSERT_TRUE(parser.put(std::string_view(input).substr(*taken)));
  EXPECT_TRUE(parser.is_done());
}

/// What a server writes in chunks of whatever size, a client reads in pieces of whatever size.
RC_GTEST_PROP(AnswerParserProperty, ChunksComeOutAsTheyWentIn, ()) {
  const auto chunks = *rc::gen::container<std::vector<std::string>>(
      rc::gen::nonEmpty(rc::gen::arbitrary<std::string>()));
  std::string wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string body;
  for (const std::string& chunk : chunks) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
    wire += size + chunk + "\r\n";
    body += chunk;
  }
  wire += "0\r\n\r\n";
  std::vector<std::string_view> parts;
  for (std::string_view rest = wire; !rest.empty();) {
    const auto size = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
    parts.push_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  RC_ASSERT(parse_in_parts(parts) == "200 " + body + " | kept");
}

}  // namespace
}  // namespace gantry::net
