#include <string_view>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "net/grpc_message_internal.h"
#include "net/http.h"

namespace gantry::net {
namespace {

/// The message as gRPC received it: compressed or not.
Result<std::string> flatten(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return fail(Code::Internal, "the message cannot be read");
  std::string body;
  body.reserve(buffer.Length() + kBodyPaddingBytes);
  for (const grpc::Slice& slice : slices) {
    body.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return body;
}

}  // namespace

Result<std::string> read_message(const grpc::ByteBuffer& buffer, codec::SizeLimit limit) {
  constexpr std::string_view kGzipMagic = "\x1f\x8b";
  GANTRY_TRY(std::string raw, flatten(buffer));
  if (!raw.starts_with(kGzipMagic)) return raw;
  std::string inflated;
  GANTRY_CHECK(codec::decompress(codec::Encoding::Gzip, raw, limit, inflated));
  return inflated;
}

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

}  // namespace gantry::net
