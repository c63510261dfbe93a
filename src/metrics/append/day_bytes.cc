#include "metrics/append/day_bytes.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "core/hash.h"
#include "storage/byte_cursor.h"

namespace gantry::metrics {
namespace {

constexpr std::string_view kMagic = "GNTDAYBY";
constexpr std::uint32_t kVersion = 1;
constexpr std::int64_t kDayLengthMs = 24LL * 60 * 60 * 1000;

/// Rounds towards the past, before 1970 too.
std::int64_t day_number(TimestampMs time) {
  const std::int64_t day = time.since_epoch / kDayLengthMs;
  return time.since_epoch % kDayLengthMs < 0 ? day - 1 : day;
}

}  // namespace

DayBytes::Answer DayBytes::take(std::uint64_t bytes, std::uint64_t bytes_max, TimestampMs now) {
  const std::int64_t day = day_number(now);
  const core::Lock lock(mutex_);
  if (day != count_.day) count_ = {.day = day, .bytes = 0};
  const Answer answer{
      .is_taken = bytes_max == 0 || (bytes <= bytes_max && count_.bytes <= bytes_max - bytes),
      .bytes_before = count_.bytes};
  if (answer.is_taken) count_.bytes += bytes;
  return answer;
}

void DayBytes::give_back(std::uint64_t bytes, TimestampMs taken_at) {
  const core::Lock lock(mutex_);
  if (day_number(taken_at) != count_.day) return;
  count_.bytes -= std::min(bytes, count_.bytes);
}

DayBytes::Count DayBytes::count() const {
  const core::Lock lock(mutex_);
  return count_;
}

void DayBytes::restore(Count count) {
  const core::Lock lock(mutex_);
  count_ = count;
}

DurationMs until_next_day(TimestampMs now) {
  return TimestampMs{(day_number(now) + 1) * kDayLengthMs} - now;
}

std::vector<std::byte> encode_day_bytes(DayBytes::Count count) {
  std::vector<std::byte> out;
  storage::ByteWriter writer(out);
  writer.raw(kMagic.data(), kMagic.size());
  writer.u32(kVersion);
  writer.svarint(count.day);
  writer.varint(count.bytes);
  writer.u32(core::crc32c(out));
  return out;
}

Result<DayBytes::Count> decode_day_bytes(std::span<const std::byte> bytes) {
  const auto damaged = [] {
    return fail(Code::DataLoss, "the file of the day's bytes is damaged");
  };
  if (bytes.size() < kMagic.size() + 2 * sizeof(std::uint32_t) ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return damaged();
  }
  storage::ByteReader reader(bytes.subspan(kMagic.size(), bytes.size() - kMagic.size() - 4));
  const std::uint32_t version = reader.u32();
  if (version > kVersion) {
    return fail(
        Code::FailedPrecondition,
        fmt::format("the file of the day's bytes has format {}, this program knows up to {}",
                    version, kVersion));
  }
  if (storage::ByteReader(bytes.last(4)).u32() != core::crc32c(bytes.first(bytes.size() - 4))) {
    return damaged();
  }
  DayBytes::Count count;
  count.day = reader.svarint();
  count.bytes = reader.varint();
  if (!reader.at_end()) return damaged();
  return count;
}

}  // namespace gantry::metrics
