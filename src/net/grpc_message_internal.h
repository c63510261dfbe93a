#pragma once

// Messages of gRPC as bytes, for the server and the client.

#include <string>

#include <grpcpp/support/byte_buffer.h>

#include "codec/compression.h"
#include "core/error.h"

namespace gantry::net {

/// The message decompressed, with kBodyPaddingBytes of spare capacity. Errors: as
/// codec::decompress; Internal.
///
/// gRPC would inflate a message whole before it looks at the limit, so it hands messages over as
/// they came (GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION is 0) and is told that gzip is the only
/// coding. It does not say which messages are compressed, but the first byte does: no protobuf
/// message starts with gzip's 0x1f (field 3 with the wire type 7, which does not exist).
[[nodiscard]] Result<std::string> read_message(const grpc::ByteBuffer& buffer,
                                               codec::SizeLimit limit);

/// A copy.
[[nodiscard]] grpc::ByteBuffer to_buffer(const std::string& bytes);

}  // namespace gantry::net
