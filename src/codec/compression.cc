#include "codec/compression.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <memory>
#include <span>

#include <fmt/format.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "core/hash.h"

namespace gantry::codec {

namespace {

constexpr std::size_t kFirstGuessBytes = 4096;

std::unexpected<Error> too_large(SizeLimit limit) {
  return fail(Code::TooLarge,
              fmt::format("decompressed body is larger than the limit of {} bytes ({})",
                          limit.bytes, limit.setting));
}

std::unexpected<Error> corrupt(std::string_view encoding, std::string_view what) {
  return fail(Code::InvalidArgument, fmt::format("corrupt {} body: {}", encoding, what));
}

/// Sets the size without initialising what is new, and keeps room for the padding.
void set_size(std::string& out, std::size_t bytes) {
  if (out.capacity() < bytes + kBodyPaddingBytes) out.reserve(bytes + kBodyPaddingBytes);
  out.resize_and_overwrite(bytes, [](char*, std::size_t size) { return size; });
}

/// The output of a decoder that does not know its size: grows by doubling, never past limit + 1.
class GrowingOutput {
 public:
  GrowingOutput(std::string& out, std::uint64_t limit_bytes, std::uint64_t guess_bytes)
      : out_(out),
        most_(limit_bytes == std::numeric_limits<std::uint64_t>::max() ? limit_bytes
                                                                       : limit_bytes + 1) {
    const std::uint64_t guess = std::max<std::uint64_t>(guess_bytes, kFirstGuessBytes);
    set_size(out_, static_cast<std::size_t>(std::min(guess, most_)));
  }

  /// Where to write next; grows when full, and is empty when the limit is passed. Earlier ones are
  /// no longer valid.
  std::span<char> space() {
    if (used_ == out_.size() && out_.size() < most_) {
      const std::uint64_t doubled = std::uint64_t{out_.size()} * 2;
      set_size(out_, static_cast<std::size_t>(std::min(doubled, most_)));
    }
    return std::span(out_).subspan(used_);
  }

  void wrote(std::size_t bytes) { used_ += bytes; }

  [[nodiscard]] bool is_over() const { return used_ == most_; }

  void finish() { set_size(out_, used_); }

 private:
  std::string& out_;
  std::uint64_t most_;
  std::size_t used_ = 0;
};

Bytef* zlib_bytes(const char* data) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(data));
}

/// zlib's window bits name the wrapper.
enum class ZlibWrapper : int { Raw = -15, Zlib = 15, Gzip = 15 + 16 };

class Inflater {
 public:
  Inflater() { is_ready_ = inflateInit2(&stream_, static_cast<int>(ZlibWrapper::Gzip)) == Z_OK; }

  ~Inflater() {
    if (is_ready_) inflateEnd(&stream_);
  }

  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Result<void> run(ZlibWrapper wrapper, std::string_view name, std::string_view input,
                   SizeLimit limit, GrowingOutput& output) {
    if (!is_ready_ || inflateReset2(&stream_, static_cast<int>(wrapper)) != Z_OK) {
      return fail(Code::Internal, "zlib could not be initialised");
    }
    std::size_t position = 0;
    int status = Z_OK;
    while (true) {
      const std::size_t given = std::min<std::size_t>(input.size() - position, kPieceBytes);
      stream_.next_in = zlib_bytes(input.data() + position);
      stream_.avail_in = static_cast<uInt>(given);
      const std::span<char> space = output.space();
      const std::size_t room = std::min<std::size_t>(space.size(), kPieceBytes);
      stream_.next_out = zlib_bytes(space.data());
      stream_.avail_out = static_cast<uInt>(room);
      status = inflate(&stream_, Z_NO_FLUSH);
      position += given - stream_.avail_in;
      const std::size_t made = room - stream_.avail_out;
      output.wrote(made);
      if (output.is_over()) return too_large(limit);
      if (status == Z_STREAM_END) {
        if (position == input.size()) return {};
        if (wrapper != ZlibWrapper::Gzip) return corrupt(name, "bytes after the end");
        if (inflateReset(&stream_) != Z_OK) return fail(Code::Internal, "zlib reset failed");
        continue;
      }
      if (status == Z_BUF_ERROR || (status == Z_OK && made == 0 && position == input.size())) {
        if (position == input.size()) return corrupt(name, "truncated");
        continue;
      }
      if (status == Z_MEM_ERROR) return fail(Code::Internal, "zlib ran out of memory");
      if (status != Z_OK) {
        return corrupt(name, stream_.msg != nullptr ? stream_.msg : "invalid data");
      }
    }
  }

 private:
  static constexpr std::size_t kPieceBytes = 1U << 30;

  z_stream stream_{};
  bool is_ready_ = false;
};

/// A gzip member ends in its size modulo 2^32; deflate cannot expand more than 1032-fold.
std::uint64_t gzip_size_guess(std::string_view input) {
  if (input.size() < 18) return 0;
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    size |= std::uint64_t{static_cast<unsigned char>(input[input.size() - 4 + i])} << (8 * i);
  }
  // One more, so that the end is seen without growing.
  return size <= input.size() * std::uint64_t{1032} ? size + 1 : input.size() * std::uint64_t{4};
}

Result<void> inflate_all(ZlibWrapper wrapper, std::string_view name, std::string_view input,
                         SizeLimit limit, std::string& out) {
  static thread_local Inflater inflater;
  const std::uint64_t guess =
      wrapper == ZlibWrapper::Gzip ? gzip_size_guess(input) : std::uint64_t{input.size()} * 4;
  GrowingOutput output(out, limit.bytes, guess);
  GANTRY_CHECK(inflater.run(wrapper, name, input, limit, output));
  output.finish();
  return {};
}

Result<void> decompress_deflate(std::string_view input, SizeLimit limit, std::string& out) {
  const auto byte = [&](std::size_t i) { return unsigned{static_cast<unsigned char>(input[i])}; };
  const bool looks_wrapped =
      input.size() >= 2 && (byte(0) & 0x0fU) == 8 && ((byte(0) << 8U) | byte(1)) % 31 == 0;
  if (!looks_wrapped) return inflate_all(ZlibWrapper::Raw, "deflate", input, limit, out);
  auto wrapped = inflate_all(ZlibWrapper::Zlib, "deflate", input, limit, out);
  if (wrapped || wrapped.error().code != Code::InvalidArgument) return wrapped;
  // Raw deflate may begin with two bytes that happen to pass for a zlib header.
  if (inflate_all(ZlibWrapper::Raw, "deflate", input, limit, out)) return {};
  return wrapped;
}

struct FreeZstdDecoder {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

struct FreeZstdEncoder {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

/// A frame may ask for a history window of its own choice: not more than 8 MiB, unless the limit
/// would allow a body of that size, and never more than 128 MiB.
int zstd_window_log_max(std::uint64_t limit_bytes) {
  int log = 23;
  while (log < 27 && (std::uint64_t{1} << log) < limit_bytes) ++log;
  return log;
}

Result<void> decompress_zstd(std::string_view input, SizeLimit limit, std::string& out) {
  static thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstdDecoder> context(ZSTD_createDCtx());
  if (context == nullptr) return fail(Code::Internal, "zstd could not be initialised");
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_and_parameters);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, zstd_window_log_max(limit.bytes));
  const unsigned long long declared = ZSTD_getFrameContentSize(input.data(), input.size());
  if (declared == ZSTD_CONTENTSIZE_ERROR) return corrupt("zstd", "no frame header");
  const bool is_known = declared != ZSTD_CONTENTSIZE_UNKNOWN;
  if (is_known && declared > limit.bytes) return too_large(limit);
  // A declared size is believed only as far as the input could hold it: a block of 128 KiB takes at
  // least four bytes.
  const std::uint64_t plausible = (std::uint64_t{input.size()} / 4 + 1) * (128 << 10);
  const std::uint64_t guess =
      is_known ? std::min<std::uint64_t>(declared + 1, plausible) : std::uint64_t{input.size()} * 4;
  GrowingOutput output(out, limit.bytes, guess);
  ZSTD_inBuffer source{.src = input.data(), .size = input.size(), .pos = 0};
  while (true) {
    const std::span<char> space = output.space();
    ZSTD_outBuffer target{.dst = space.data(), .size = space.size(), .pos = 0};
    const std::size_t before = source.pos;
    const std::size_t status = ZSTD_decompressStream(context.get(), &target, &source);
    if (ZSTD_isError(status) != 0) return corrupt("zstd", ZSTD_getErrorName(status));
    output.wrote(target.pos);
    if (output.is_over()) return too_large(limit);
    if (source.pos == source.size) {
      if (status == 0) break;
      if (target.pos < target.size) return corrupt("zstd", "truncated");
    } else if (source.pos == before && target.pos == 0 && target.size > 0) {
      return corrupt("zstd", "no progress");
    }
  }
  output.finish();
  return {};
}

Result<void> decompress_snappy_block(std::string_view input, SizeLimit limit, std::string& out) {
  std::size_t declared = 0;
  if (!snappy::GetUncompressedLength(input.data(), input.size(), &declared)) {
    return corrupt("snappy", "no length at the start");
  }
  if (declared > limit.bytes) return too_large(limit);
  // Three bytes make at most 64: a larger claim is a lie and not worth the memory.
  if (declared > input.size() * 22 + 64) return corrupt("snappy", "declared length is implausible");
  set_size(out, declared);
  if (!snappy::RawUncompress(input.data(), input.size(), out.data())) {
    return corrupt("snappy", "invalid block");
  }
  return {};
}

// Framing format of google/snappy framing_format.txt.
constexpr std::string_view kSnappyStreamIdentifier("\xff\x06\x00\x00sNaPpY", 10);
constexpr std::size_t kSnappyChunkBytesMax = 65536;

enum class SnappyChunk : unsigned char {
  Compressed = 0x00,
  Uncompressed = 0x01,
  UnskippableMax = 0x7f,
  StreamIdentifier = 0xff,
};

std::uint32_t masked_crc(std::string_view data) {
  const std::uint32_t crc = core::crc32c(core::as_bytes(data));
  return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U;
}

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return value;
}

/// One data chunk (its CRC and payload) onto `out`, which holds `used` bytes so far.
Result<void> append_snappy_chunk(SnappyChunk type, std::string_view chunk, SizeLimit limit,
                                 std::string& out) {
  if (chunk.size() < 4) return corrupt("snappy", "chunk without a checksum");
  const std::string_view payload = chunk.substr(4);
  std::size_t bytes = payload.size();
  if (type == SnappyChunk::Compressed &&
      !snappy::GetUncompressedLength(payload.data(), payload.size(), &bytes)) {
    return corrupt("snappy", "chunk without a length");
  }
  if (bytes > kSnappyChunkBytesMax) return corrupt("snappy", "chunk larger than 65536 bytes");
  const std::size_t used = out.size();
  if (used + bytes > limit.bytes) return too_large(limit);
  if (out.capacity() < used + bytes + kBodyPaddingBytes) {
    out.reserve(std::max(out.capacity() * 2, used + bytes + kBodyPaddingBytes));
  }
  set_size(out, used + bytes);
  if (type == SnappyChunk::Uncompressed) {
    std::copy(payload.begin(), payload.end(), out.begin() + static_cast<std::ptrdiff_t>(used));
  } else if (!snappy::RawUncompress(payload.data(), payload.size(), out.data() + used)) {
    return corrupt("snappy", "invalid block");
  }
  if (masked_crc(std::string_view(out).substr(used)) != little_endian(chunk.substr(0, 4))) {
    return corrupt("snappy", "checksum does not match");
  }
  return {};
}

Result<void> decompress_snappy_framed(std::string_view input, SizeLimit limit, std::string& out) {
  if (!input.empty() && !input.starts_with(kSnappyStreamIdentifier)) {
    return corrupt("snappy", "no stream identifier");
  }
  set_size(out, 0);
  while (!input.empty()) {
    if (input.size() < 4) return corrupt("snappy", "truncated");
    const auto type = static_cast<SnappyChunk>(input[0]);
    const std::size_t bytes = little_endian(input.substr(1, 3));
    if (input.size() - 4 < bytes) return corrupt("snappy", "truncated");
    const std::string_view chunk = input.substr(4, bytes);
    if (type == SnappyChunk::StreamIdentifier) {
      if (!input.starts_with(kSnappyStreamIdentifier)) {
        return corrupt("snappy", "wrong stream identifier");
      }
    } else if (type == SnappyChunk::Compressed || type == SnappyChunk::Uncompressed) {
      GANTRY_CHECK(append_snappy_chunk(type, chunk, limit, out));
    } else if (type <= SnappyChunk::UnskippableMax) {
      return corrupt("snappy", "reserved chunk type");
    }
    input.remove_prefix(4 + bytes);
  }
  return {};
}

Result<void> decompress_any(Encoding encoding, std::string_view input, SizeLimit limit,
                            std::string& out) {
  switch (encoding) {
    case Encoding::Identity:
      if (input.size() > limit.bytes) return too_large(limit);
      set_size(out, input.size());
      std::copy(input.begin(), input.end(), out.begin());
      return {};
    case Encoding::Gzip:
      return inflate_all(ZlibWrapper::Gzip, "gzip", input, limit, out);
    case Encoding::Deflate:
      return decompress_deflate(input, limit, out);
    case Encoding::Zstd:
      return decompress_zstd(input, limit, out);
    case Encoding::SnappyBlock:
      return decompress_snappy_block(input, limit, out);
    case Encoding::SnappyFramed:
      return decompress_snappy_framed(input, limit, out);
  }
  return fail(Code::Internal, "unknown encoding");
}

class Deflater {
 public:
  explicit Deflater(ZlibWrapper wrapper) {
    is_ready_ = deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED, static_cast<int>(wrapper), 8,
                             Z_DEFAULT_STRATEGY) == Z_OK;
  }

  ~Deflater() {
    if (is_ready_) deflateEnd(&stream_);
  }

  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  Result<void> run(std::string_view input, std::string& out) {
    if (!is_ready_ || deflateReset(&stream_) != Z_OK) {
      return fail(Code::Internal, "zlib could not be initialised");
    }
    set_size(out, deflateBound(&stream_, static_cast<uLong>(input.size())));
    std::size_t read = 0;
    std::size_t written = 0;
    while (true) {
      const std::size_t given = std::min<std::size_t>(input.size() - read, kPieceBytes);
      const std::size_t room = std::min<std::size_t>(out.size() - written, kPieceBytes);
      stream_.next_in = zlib_bytes(input.data() + read);
      stream_.avail_in = static_cast<uInt>(given);
      stream_.next_out = zlib_bytes(out.data() + written);
      stream_.avail_out = static_cast<uInt>(room);
      const int flush = read + given == input.size() ? Z_FINISH : Z_NO_FLUSH;
      const int status = deflate(&stream_, flush);
      read += given - stream_.avail_in;
      written += room - stream_.avail_out;
      if (status == Z_STREAM_END) break;
      if (status != Z_OK) return fail(Code::Internal, "zlib could not compress");
    }
    set_size(out, written);
    return {};
  }

 private:
  static constexpr std::size_t kPieceBytes = 1U << 30;

  z_stream stream_{};
  bool is_ready_ = false;
};

Result<void> compress_zstd(std::string_view input, std::string& out) {
  static thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstdEncoder> context(ZSTD_createCCtx());
  if (context == nullptr) return fail(Code::Internal, "zstd could not be initialised");
  set_size(out, ZSTD_compressBound(input.size()));
  const std::size_t bytes =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), input.data(), input.size(), 1);
  if (ZSTD_isError(bytes) != 0) return fail(Code::Internal, ZSTD_getErrorName(bytes));
  set_size(out, bytes);
  return {};
}

void compress_snappy_block(std::string_view input, std::string& out) {
  set_size(out, snappy::MaxCompressedLength(input.size()));
  std::size_t bytes = 0;
  snappy::RawCompress(input.data(), input.size(), out.data(), &bytes);
  set_size(out, bytes);
}

void compress_snappy_framed(std::string_view input, std::string& out) {
  out.assign(kSnappyStreamIdentifier);
  std::string block;
  while (!input.empty()) {
    const std::string_view piece = input.substr(0, kSnappyChunkBytesMax);
    compress_snappy_block(piece, block);
    const std::size_t bytes = block.size() + 4;
    const std::uint32_t crc = masked_crc(piece);
    out.push_back(static_cast<char>(SnappyChunk::Compressed));
    for (std::size_t i = 0; i < 3; ++i) out.push_back(static_cast<char>(bytes >> (8 * i)));
    for (std::size_t i = 0; i < 4; ++i) out.push_back(static_cast<char>(crc >> (8 * i)));
    out += block;
    input.remove_prefix(piece.size());
  }
}

}  // namespace

std::string_view encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::Identity:
      return "identity";
    case Encoding::Gzip:
      return "gzip";
    case Encoding::Deflate:
      return "deflate";
    case Encoding::Zstd:
      return "zstd";
    case Encoding::SnappyBlock:
    case Encoding::SnappyFramed:
      return "snappy";
  }
  return "unknown";
}

Result<Encoding> parse_encoding(std::string_view value, SnappyForm snappy) {
  struct Word {
    std::string_view word;
    Encoding encoding;
  };

  const Encoding bare =
      snappy == SnappyForm::Block ? Encoding::SnappyBlock : Encoding::SnappyFramed;
  const std::array<Word, 9> words = {{{"", Encoding::Identity},
                                      {"identity", Encoding::Identity},
                                      {"gzip", Encoding::Gzip},
                                      {"x-gzip", Encoding::Gzip},
                                      {"deflate", Encoding::Deflate},
                                      {"zlib", Encoding::Deflate},
                                      {"zstd", Encoding::Zstd},
                                      {"snappy", bare},
                                      {"x-snappy-framed", Encoding::SnappyFramed}}};
  std::string lower(value);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const Word& word : words) {
    if (word.word == lower) return word.encoding;
  }
  return fail(Code::Unsupported,
              fmt::format("Content-Encoding \"{}\" is not supported; send identity, gzip, deflate, "
                          "zstd or snappy",
                          value.substr(0, 64)));
}

Result<void> decompress(Encoding encoding, std::string_view input, SizeLimit limit,
                        std::string& out) {
  auto result = decompress_any(encoding, input, limit, out);
  if (!result) out.clear();
  return result;
}

Result<void> compress(Encoding encoding, std::string_view input, std::string& out) {
  switch (encoding) {
    case Encoding::Identity:
      out.assign(input);
      return {};
    case Encoding::Gzip: {
      static thread_local Deflater deflater(ZlibWrapper::Gzip);
      return deflater.run(input, out);
    }
    case Encoding::Deflate: {
      static thread_local Deflater deflater(ZlibWrapper::Zlib);
      return deflater.run(input, out);
    }
    case Encoding::Zstd:
      return compress_zstd(input, out);
    case Encoding::SnappyBlock:
      compress_snappy_block(input, out);
      return {};
    case Encoding::SnappyFramed:
      compress_snappy_framed(input, out);
      return {};
  }
  return fail(Code::Internal, "unknown encoding");
}

}  // namespace gantry::codec
