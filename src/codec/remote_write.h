#pragma once

// Prometheus remote write: the two messages, decoded into a MetricBatch.
//
//   GANTRY_TRY(const auto version, codec::parse_remote_write_content_type(content_type));
//   GANTRY_CHECK(codec::check_remote_write_encoding(content_encoding));
//   GANTRY_CHECK(codec::decompress(codec::Encoding::SnappyBlock, request.body, limit, body));
//   codec::RemoteWriteDecoder decoder;   // reuse one per worker: its columns keep their memory
//   GANTRY_CHECK(decoder.decode(version, body));
//   GANTRY_TRY(auto result, store.append(decoder.batch(), {}));
//   decoder.rejections().add_to(result);
//
// Sources: prompb/types.proto and prompb/io/prometheus/write/v2/types.proto of Prometheus; remote
// write specifications 1.0 and 2.0-rc.4.

#include <cstdint>
#include <memory>
#include <string_view>

#include "codec/rejections.h"
#include "core/error.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

enum class RemoteWriteVersion : std::uint8_t { V1, V2 };

/// From a Content-Type value. Empty and a missing `proto` parameter mean 1.0. Errors: Unsupported
/// (415) for another media type or message.
[[nodiscard]] Result<RemoteWriteVersion> parse_remote_write_content_type(std::string_view value);

/// From a Content-Encoding value: "" and "snappy" pass (both mean the snappy block). Errors:
/// Unsupported (415) with the text senders know.
[[nodiscard]] Result<void> check_remote_write_encoding(std::string_view value);

struct RemoteWriteOptions {
  /// 2.0: each series gets __type__ and __unit__ from its metadata; what the sender wrote under
  /// these names goes.
  bool adds_type_and_unit_labels = false;

  /// 1.0: reads those that the encoder writes with WriteOptions::has_start_timestamps.
  bool has_start_timestamps = false;
};

/// Decodes one request at a time and owns what the batch's views need besides the body.
/// Not thread-safe; `batch().resolver` is used by one thread at a time.
class RemoteWriteDecoder {
 public:
  RemoteWriteDecoder();
  ~RemoteWriteDecoder();
  RemoteWriteDecoder(const RemoteWriteDecoder&) = delete;
  RemoteWriteDecoder& operator=(const RemoteWriteDecoder&) = delete;
  RemoteWriteDecoder(RemoteWriteDecoder&&) noexcept;
  RemoteWriteDecoder& operator=(RemoteWriteDecoder&&) noexcept;

  /// Replaces the batch by that of `body` (the uncompressed protobuf message), which must stay
  /// where it is while the batch is in use. Errors: InvalidArgument when the bytes are not this
  /// message; the batch is then empty. A series that breaks a rule is left out and listed in
  /// `rejections`; one whose labels break a rule (no name, a duplicate) fails when its labels are
  /// resolved.
  [[nodiscard]] Result<void> decode(RemoteWriteVersion version, std::string_view body,
                                    RemoteWriteOptions options = {});

  [[nodiscard]] const telemetry::MetricBatch& batch() const;

  /// What the last decode left out of the batch.
  [[nodiscard]] const RejectionList& rejections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::codec
