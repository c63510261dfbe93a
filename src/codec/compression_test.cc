#include "codec/compression.h"

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>
#include <zlib.h>
#include <zstd.h>

namespace gantry::codec {
namespace {

constexpr Encoding kAll[] = {Encoding::Identity, Encoding::Gzip,        Encoding::Deflate,
                             Encoding::Zstd,     Encoding::SnappyBlock, Encoding::SnappyFramed};

constexpr SizeLimit kLimit{.bytes = 1 << 20, .setting = "test.bytes_max"};

std::string packed(Encoding encoding, std::string_view text) {
  std::string out;
  EXPECT_TRUE(compress(encoding, text, out));
  return out;
}

std::string raw_deflate(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

RC_GTEST_PROP(Compression, RoundTrips, (const std::string& text)) {
  for (const Encoding encoding : kAll) {
    std::string out;
    RC_ASSERT(decompress(encoding, packed(encoding, text), kLimit, out).has_value());
    RC_ASSERT(out == text);
    RC_ASSERT(out.capacity() >= out.size() + kBodyPaddingBytes);
  }
}

RC_GTEST_PROP(Compression, CorruptBytesNeverCrash, (const std::string& garbage)) {
  for (const Encoding encoding : kAll) {
    std::string out;
    if (const auto result = decompress(encoding, garbage, kLimit, out); !result) {
      RC_ASSERT(out.empty());
    }
  }
}

TEST(Compression, LargeBodiesRoundTrip) {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += "sample_" + std::to_string(i * 7919 % 10007);
  for (const Encoding encoding : kAll) {
    std::string out;
    ASSERT_TRUE(decompress(encoding, packed(encoding, text), {.bytes = text.size()}, out));
    EXPECT_EQ(out, text) << encoding_name(encoding);
    const auto over = decompress(encoding, packed(encoding, text), {.bytes = text.size() - 1}, out);
    ASSERT_FALSE(over) << encoding_name(encoding);
    EXPECT_EQ(over.error().code, Code::TooLarge);
  }
}

TEST(Compression, ZstdFramesNeedNotTellTheirSize) {
  const std::string text(300'000, 'x');
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  ASSERT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), ZSTD_CONTENTSIZE_UNKNOWN);
  std::string out;
  ASSERT_TRUE(decompress(Encoding::Zstd, frame, kLimit, out));
  EXPECT_EQ(out, text);
  const auto over = decompress(Encoding::Zstd, frame, {.bytes = text.size() - 1}, out);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::TooLarge);
}

TEST(Compression, WrongGzipTrailersDoNotMislead) {
  // The size at the end is only a guess for the first allocation: here of a second, tiny member.
  const std::string text(300'000, 'y');
  std::string out;
  ASSERT_TRUE(decompress(Encoding::Gzip, packed(Encoding::Gzip, text) + packed(Encoding::Gzip, "z"),
                         kLimit, out));
  EXPECT_EQ(out, text + "z");
}

TEST(Compression, TruncatedAtEveryByteIsAnError) {
  std::string text = "one two one two one two three";
  for (int i = 0; i < 6; ++i) text += text;
  for (const Encoding encoding : {Encoding::Gzip, Encoding::Deflate, Encoding::Zstd,
                                  Encoding::SnappyBlock, Encoding::SnappyFramed}) {
    const std::string whole = packed(encoding, text);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      // A copy on the heap, so that a sanitizer sees a read past the end.
      const std::string part(whole, 0, length);
      std::string out;
      const auto result = decompress(encoding, part, kLimit, out);
      const bool is_whole_frame =
          encoding == Encoding::SnappyFramed && (length == 0 || length == 10);
      EXPECT_EQ(result.has_value(), is_whole_frame) << encoding_name(encoding) << " " << length;
      if (!result) EXPECT_EQ(result.error().code, Code::InvalidArgument);
    }
  }
}

TEST(Compression, LimitIsNamed) {
  std::string out;
  const auto result =
      decompress(Encoding::Gzip, packed(Encoding::Gzip, std::string(2 << 20, 'x')), kLimit, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "decompressed body is larger than the limit of 1048576 bytes (test.bytes_max)");
  EXPECT_TRUE(out.empty());
}

TEST(Compression, DeclaredSizesAreCheckedBeforeAllocating) {
  std::string out;
  // A snappy block that claims 4 GiB - 1.
  const auto bomb = decompress(Encoding::SnappyBlock, "\xff\xff\xff\xff\x0f\x00", kLimit, out);
  ASSERT_FALSE(bomb);
  EXPECT_EQ(bomb.error().code, Code::TooLarge);
  // One that claims 1 MiB within the limit but has three bytes.
  const auto lie =
      decompress(Encoding::SnappyBlock, std::string("\x80\x80\x40\x00", 4), kLimit, out);
  ASSERT_FALSE(lie);
  EXPECT_EQ(lie.error().code, Code::InvalidArgument);
  EXPECT_LT(out.capacity(), 1U << 16);
  // A zstd frame with content size 16 MiB in its header.
  const std::string frame("\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x01", 9);
  const auto zstd = decompress(Encoding::Zstd, frame, kLimit, out);
  ASSERT_FALSE(zstd);
  EXPECT_EQ(zstd.error().code, Code::TooLarge);
}

TEST(Compression, DeflateIsTakenWithAndWithoutWrapper) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("hello hello hello")}) {
    std::string out;
    ASSERT_TRUE(decompress(Encoding::Deflate, raw_deflate(text), kLimit, out));
    EXPECT_EQ(out, text);
  }
}

TEST(Compression, MembersAndFramesAreConcatenated) {
  for (const Encoding encoding : {Encoding::Gzip, Encoding::Zstd, Encoding::SnappyFramed}) {
    std::string out;
    ASSERT_TRUE(
        decompress(encoding, packed(encoding, "one ") + packed(encoding, "two"), kLimit, out));
    EXPECT_EQ(out, "one two");
  }
}

TEST(Compression, TrailingBytesAreRefused) {
  for (const Encoding encoding : {Encoding::Gzip, Encoding::Deflate, Encoding::Zstd,
                                  Encoding::SnappyBlock, Encoding::SnappyFramed}) {
    std::string out;
    const auto result = decompress(encoding, packed(encoding, "text") + "junk", kLimit, out);
    ASSERT_FALSE(result) << encoding_name(encoding);
    EXPECT_EQ(result.error().code, Code::InvalidArgument);
  }
}

TEST(Compression, SnappyFrameChecksumIsVerified) {
  std::string framed = packed(Encoding::SnappyFramed, "some text");
  framed[14] = static_cast<char>(framed[14] ^ 1);
  std::string out;
  const auto result = decompress(Encoding::SnappyFramed, framed, kLimit, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "corrupt snappy body: checksum does not match");
}

TEST(Compression, NamesAreParsed) {
  struct Case {
    std::string_view word;
    SnappyForm form;
    Encoding expected;
  };

  for (const Case& c : {Case{"", SnappyForm::Block, Encoding::Identity},
                        Case{"identity", SnappyForm::Block, Encoding::Identity},
                        Case{"GZIP", SnappyForm::Block, Encoding::Gzip},
                        Case{"x-gzip", SnappyForm::Block, Encoding::Gzip},
                        Case{"deflate", SnappyForm::Block, Encoding::Deflate},
                        Case{"zstd", SnappyForm::Block, Encoding::Zstd},
                        Case{"snappy", SnappyForm::Block, Encoding::SnappyBlock},
                        Case{"snappy", SnappyForm::Framed, Encoding::SnappyFramed}}) {
    const auto parsed = parse_encoding(c.word, c.form);
    ASSERT_TRUE(parsed) << c.word;
    EXPECT_EQ(*parsed, c.expected) << c.word;
  }
  const auto unknown = parse_encoding("br");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::Unsupported);
  EXPECT_NE(unknown.error().message.find("\"br\""), std::string::npos);
}

}  // namespace
}  // namespace gantry::codec
