#include <algorithm>
#include <limits>

#include <zlib.h>
#include <zstd.h>

#include "net/content_coding_internal.h"

namespace gantry::net {
namespace {

// Speed over size: answers are made on the cores that also take the data in.
constexpr int kZlibLevel = 1;
constexpr int kZstdLevel = 1;
constexpr std::size_t kOutputStepBytes = 16 << 10;

class ZlibCompressor final : public Compressor {
 public:
  ~ZlibCompressor() override {
    if (is_open_) deflateEnd(&stream_);
  }

  /// window_bits: 15 for a zlib wrapper, 31 for gzip.
  Result<void> open(int window_bits) {
    constexpr int kDefaultMemoryLevel = 8;
    if (deflateInit2(&stream_, kZlibLevel, Z_DEFLATED, window_bits, kDefaultMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      return fail(Code::Internal, "compressing an answer: out of memory");
    }
    is_open_ = true;
    return {};
  }

  Result<void> append(std::string_view input, std::string& out) override {
    while (!input.empty()) {
      const auto piece =
          std::min<std::size_t>(input.size(), std::numeric_limits<unsigned>::max() / 2);
      GANTRY_CHECK(pump(input.substr(0, piece), Z_NO_FLUSH, out));
      input.remove_prefix(piece);
    }
    return {};
  }

  Result<void> finish(std::string& out) override { return pump({}, Z_FINISH, out); }

 private:
  Result<void> pump(std::string_view input, int flush, std::string& out) {
    // zlib does not write through next_in.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<unsigned>(input.size());
    int state = Z_OK;
    do {
      const std::size_t start = out.size();
      out.resize(start + kOutputStepBytes);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + start);
      stream_.avail_out = kOutputStepBytes;
      state = deflate(&stream_, flush);
      out.resize(start + kOutputStepBytes - stream_.avail_out);
      if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
        return fail(Code::Internal, "compressing an answer: zlib failed");
      }
    } while (stream_.avail_out == 0 && state != Z_STREAM_END);
    return {};
  }

  z_stream stream_{};
  bool is_open_ = false;
};

class ZstdCompressor final : public Compressor {
 public:
  Result<void> open() {
    context_.reset(ZSTD_createCCtx());
    if (context_ == nullptr) return fail(Code::Internal, "compressing an answer: out of memory");
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kZstdLevel);
    return {};
  }

  Result<void> append(std::string_view input, std::string& out) override {
    return pump(input, ZSTD_e_continue, out);
  }

  Result<void> finish(std::string& out) override { return pump({}, ZSTD_e_end, out); }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };

  Result<void> pump(std::string_view input, ZSTD_EndDirective directive, std::string& out) {
    ZSTD_inBuffer in{.src = input.data(), .size = input.size(), .pos = 0};
    for (;;) {
      const std::size_t start = out.size();
      out.resize(start + kOutputStepBytes);
      ZSTD_outBuffer to{.dst = out.data() + start, .size = kOutputStepBytes, .pos = 0};
      const std::size_t left = ZSTD_compressStream2(context_.get(), &to, &in, directive);
      out.resize(start + to.pos);
      if (ZSTD_isError(left) != 0) {
        return fail(Code::Internal, "compressing an answer: zstd failed");
      }
      const bool is_done = directive == ZSTD_e_end ? left == 0 : in.pos == in.size;
      if (is_done) return {};
    }
  }

  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view content_coding_name(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::Identity:
      return "";
    case ContentCoding::Gzip:
      return "gzip";
    case ContentCoding::Deflate:
      return "deflate";
    case ContentCoding::Zstd:
      return "zstd";
  }
  return "";
}

ContentCoding choose_content_coding(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    const std::size_t end = std::min(accept_encoding.find(','), accept_encoding.size());
    const std::string_view token = trim(accept_encoding.substr(0, end));
    accept_encoding.remove_prefix(std::min(end + 1, accept_encoding.size()));
    for (const auto coding : {ContentCoding::Gzip, ContentCoding::Deflate, ContentCoding::Zstd}) {
      if (token == content_coding_name(coding)) return coding;
    }
  }
  return ContentCoding::Identity;
}

Result<std::unique_ptr<Compressor>> make_compressor(ContentCoding coding) {
  constexpr int kZlibWindowBits = 15;
  constexpr int kGzipWrapper = 16;
  if (coding == ContentCoding::Identity) return nullptr;
  if (coding == ContentCoding::Zstd) {
    auto zstd = std::make_unique<ZstdCompressor>();
    GANTRY_CHECK(zstd->open());
    return zstd;
  }
  auto zlib = std::make_unique<ZlibCompressor>();
  GANTRY_CHECK(zlib->open(kZlibWindowBits + (coding == ContentCoding::Gzip ? kGzipWrapper : 0)));
  return zlib;
}

}  // namespace gantry::net
