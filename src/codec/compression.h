#pragma once

// Content encodings of request and response bodies.
//
//   std::string body;
//   GANTRY_TRY(const codec::Encoding encoding, codec::parse_encoding("gzip"));
//   GANTRY_CHECK(codec::decompress(encoding, request.body, {.bytes = 64 << 20, .setting =
//                                  "limits.body_bytes_max"}, body));
//
// All functions may be called from any thread; compressor and decompressor contexts are kept per
// thread and reused.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::codec {

/// Bytes after a decompressed body that may be read (simdjson wants them); not part of it.
inline constexpr std::size_t kBodyPaddingBytes = 64;

enum class Encoding : std::uint8_t {
  Identity,
  Gzip,
  Deflate,  ///< zlib wrapper (RFC 1950); when decoding also raw deflate, which many send.
  Zstd,
  SnappyBlock,   ///< Remote write and Loki: one block with its length in front.
  SnappyFramed,  ///< OTLP: the framing format with CRC-32C per chunk.
};

/// "gzip", "deflate", "zstd", "snappy"; identity is "identity".
[[nodiscard]] std::string_view encoding_name(Encoding encoding);

/// Which form the bare word "snappy" has: remote write means the block, OTLP the frames.
enum class SnappyForm : std::uint8_t { Block, Framed };

/// From a Content-Encoding value, without regard to case: "", "identity", "gzip", "x-gzip",
/// "deflate", "zlib", "zstd", "snappy", "x-snappy-framed". Errors: Unsupported, naming the value.
[[nodiscard]] Result<Encoding> parse_encoding(std::string_view value,
                                              SnappyForm snappy = SnappyForm::Block);

/// How large a body may become, and what to call that in the error.
struct SizeLimit {
  std::uint64_t bytes = 64ULL << 20;
  std::string_view setting = "limits.body_decompressed_bytes_max";
};

/// Replaces `out` by the decoded bytes; its capacity then exceeds its size by at least
/// kBodyPaddingBytes, so that the bytes behind may be read. Concatenated gzip members and zstd
/// frames are decoded to the end. Errors: TooLarge as soon as the output (or the size that the
/// input declares) passes the limit, InvalidArgument for corrupt, truncated or trailing bytes;
/// `out` is then empty.
[[nodiscard]] Result<void> decompress(Encoding encoding, std::string_view input, SizeLimit limit,
                                      std::string& out);

/// Replaces `out` by the encoded bytes. Levels are chosen for speed (gzip and deflate 1, zstd 1).
/// Errors: Internal when the library fails (out of memory).
[[nodiscard]] Result<void> compress(Encoding encoding, std::string_view input, std::string& out);

}  // namespace gantry::codec
