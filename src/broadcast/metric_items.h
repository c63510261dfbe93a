#pragma once

// What is put into the queue of a batch of metrics, and what is made of it for a receiver. In the
// queue lie remote write 1.0 messages: several of them, one after the other, are one. They carry
// start timestamps as well (codec::WriteOptions); those that were queued before they did have none.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broadcast/recent_items.h"
#include "codec/metric_families.h"
#include "codec/remote_write.h"
#include "core/error.h"
#include "core/mutex.h"
#include "core/time.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::broadcast {

/// All samples of a series have one key, so that they arrive in order, and so have the series of a
/// histogram or summary, so that they arrive together; keys are 1 to this.
inline constexpr std::uint32_t kOrderShards = 4;

struct MetricItem {
  std::uint64_t order_key = 0;
  std::uint32_t samples = 0;  ///< Histograms too.
  std::string payload;
};

struct MetricItemLimits {
  std::size_t samples_max = 2000;
  std::size_t bytes_max = 512 << 10;  ///< About; a single sample may be larger.
};

/// The samples of `batch` that a store has taken, without those that `stored` says it refused. In
/// each item the samples of a series ascend in time. Series whose labels cannot be resolved are
/// left out: the store has refused them.
[[nodiscard]] std::vector<MetricItem> encode_metric_items(const telemetry::MetricBatch& batch,
                                                          const telemetry::AppendResult& stored,
                                                          const MetricItemLimits& limits);

/// Messages of the queue, into the batch of `decoder`, which views them. Errors: InvalidArgument
/// when they are not what they should be.
[[nodiscard]] Result<void> decode_metric_items(std::string_view messages,
                                               codec::RemoteWriteDecoder& decoder);

/// `stored` as if the store had refused what `recent` knows of this stack; what it took is known
/// from now on.
[[nodiscard]] telemetry::AppendResult refuse_known(const telemetry::MetricBatch& batch,
                                                   const telemetry::AppendResult& stored,
                                                   std::uint32_t stack, RecentItems& recent);

/// Puts a message about families, if there is one, before the first samples of each shard, so that
/// whoever sends on what comes after knows it. Without samples it becomes an item of its own.
void add_metadata(std::string_view message, std::vector<MetricItem>& items);

/// Lets what is said of a family through once a minute, as Prometheus sends it. Thread-safe.
class MetadataRhythm {
 public:
  /// The metadata of `batch` that is due, as a message without samples; "" when none is.
  [[nodiscard]] std::string take_due(std::uint32_t stack, const telemetry::MetricBatch& batch,
                                     TimestampMs now);

 private:
  core::Mutex mutex_;
  /// When each was last let through, by a hash of stack and entry.
  std::map<std::uint64_t, TimestampMs> last_ GANTRY_GUARDED_BY(mutex_);
};

/// Messages of the queue as remote write 2.0. Remembers what they say of families, since that comes
/// in messages of its own there and with each series here. Thread-safe.
class RemoteWrite2Translator {
 public:
  /// "" when no series is left: a request here is about series. Errors: InvalidArgument when
  /// `messages` are not what they should be.
  [[nodiscard]] Result<std::string> translate(std::string_view messages);

 private:
  core::Mutex mutex_;
  codec::MetricFamilies families_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::broadcast
