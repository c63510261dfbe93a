#include "traces/log/log_record.h"

#include "codec/compression.h"
#include "core/hash.h"
#include "storage/byte_cursor.h"

namespace gantry::traces {
namespace {

/// What is shorter does not pay.
constexpr std::size_t kCompressedBytesMin = 1024;
/// Records are at most 64 MiB; text that repeats compresses a thousandfold.
constexpr std::uint64_t kRequestBytesMax = std::uint64_t{2} << 30;

enum class Form : std::uint8_t { Plain = 0, Zstd = 1 };

}  // namespace

void encode_spans_record(std::string_view otlp, std::vector<std::byte>& out) {
  out.clear();
  storage::ByteWriter writer(out);
  static thread_local std::string compressed;
  if (otlp.size() >= kCompressedBytesMin &&
      codec::compress(codec::Encoding::Zstd, otlp, compressed) && compressed.size() < otlp.size()) {
    writer.u8(static_cast<std::uint8_t>(Form::Zstd));
    writer.bytes(core::as_bytes(compressed));
    return;
  }
  writer.u8(static_cast<std::uint8_t>(Form::Plain));
  writer.bytes(core::as_bytes(otlp));
}

Result<std::string_view> decode_spans_record(std::span<const std::byte> payload,
                                             std::string& buffer) {
  if (payload.empty()) return fail(Code::DataLoss, "an empty record in the traces log");
  const auto form = static_cast<std::uint8_t>(payload.front());
  const std::string_view rest(reinterpret_cast<const char*>(payload.data()) + 1,
                              payload.size() - 1);
  if (form == static_cast<std::uint8_t>(Form::Plain)) return rest;
  if (form != static_cast<std::uint8_t>(Form::Zstd)) {
    return fail(Code::DataLoss, "a record of unknown form in the traces log");
  }
  const auto done = codec::decompress(codec::Encoding::Zstd, rest,
                                      {.bytes = kRequestBytesMax, .setting = "log record"}, buffer);
  if (!done) return fail(Code::DataLoss, "a record in the traces log: " + done.error().message);
  return buffer;
}

}  // namespace gantry::traces
