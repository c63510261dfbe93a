#pragma once

// Content codings of answers: which one a client gets, and the compressors, which take a body in
// pieces.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::net {

enum class ContentCoding : std::uint8_t { Identity, Gzip, Deflate, Zstd };

/// "gzip", "deflate", "zstd"; "" for identity.
[[nodiscard]] std::string_view content_coding_name(ContentCoding coding);

/// The first coding that we have in the client's order. Tokens match exactly: an element with
/// parameters ("gzip;q=0.5") is not one of them, as in Prometheus.
[[nodiscard]] ContentCoding choose_content_coding(std::string_view accept_encoding);

/// One body. May move between threads; used by one at a time.
class Compressor {
 public:
  Compressor() = default;
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  virtual ~Compressor() = default;

  /// Appends what `input` became to `out` (perhaps nothing yet). Errors: Internal.
  virtual Result<void> append(std::string_view input, std::string& out) = 0;

  /// Appends the end of the body. Nothing may follow.
  virtual Result<void> finish(std::string& out) = 0;
};

/// nullptr for Identity. Errors: Internal (out of memory).
[[nodiscard]] Result<std::unique_ptr<Compressor>> make_compressor(ContentCoding coding);

}  // namespace gantry::net
