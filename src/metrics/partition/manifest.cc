#include "metrics/partition/manifest.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "core/hash.h"
#include "storage/byte_cursor.h"
#include "storage/directory.h"

namespace gantry::metrics {
namespace {

constexpr std::string_view kMagic = "GNTRMANI";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kManifestBytesMax = 256 << 20;

std::unexpected<Error> damaged(std::string_view why) {
  return fail(Code::DataLoss, "the metrics manifest is damaged: " + std::string(why));
}

Result<std::vector<promql::Matcher>> decode_matchers(storage::ByteReader& reader) {
  std::vector<promql::Matcher> matchers;
  const std::size_t count = reader.count(3);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    const std::uint8_t op = reader.u8();
    std::string name(reader.string());
    std::string value(reader.string());
    if (op > static_cast<std::uint8_t>(promql::MatchOp::NotRegex)) return damaged("matcher");
    GANTRY_TRY(promql::Matcher matcher, promql::Matcher::make(static_cast<promql::MatchOp>(op),
                                                              std::move(name), std::move(value)));
    matchers.push_back(std::move(matcher));
  }
  return matchers;
}

void encode_tombstone(const TombstoneEntry& tombstone, storage::ByteWriter& writer) {
  writer.varint(tombstone.sequence);
  writer.svarint(tombstone.start_ms);
  writer.svarint(tombstone.end_ms);
  writer.varint(tombstone.matchers.size());
  for (const promql::Matcher& matcher : tombstone.matchers) {
    writer.u8(static_cast<std::uint8_t>(matcher.op()));
    writer.string(matcher.name());
    writer.string(matcher.value());
  }
}

}  // namespace

std::string day_name(std::int64_t day) {
  // Beyond what the calendar type can say, the number itself.
  constexpr std::int64_t kCalendarDays = 10'000'000;
  if (day < -kCalendarDays || day > kCalendarDays) return fmt::format("day{}", day);
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(day)}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

storage::Path PartEntry::path() const {
  return storage::Path("partitions") / day_name(day) / fmt::format("{:012}", number);
}

void encode_manifest(const Manifest& manifest, std::vector<std::byte>& out) {
  out.clear();
  storage::ByteWriter writer(out);
  writer.raw(kMagic.data(), kMagic.size());
  writer.u32(kVersion);
  writer.varint(manifest.next_part_number);
  writer.varint(manifest.tombstone_sequence);
  writer.varint(manifest.log_start.segment);
  writer.varint(manifest.log_start.offset_bytes);
  writer.varint(manifest.annotations_number);
  writer.varint(manifest.parts.size());
  for (const PartEntry& part : manifest.parts) {
    writer.varint(part.number);
    writer.svarint(part.day);
    writer.varint(part.clean_sequence);
  }
  writer.varint(manifest.tombstones.size());
  for (const TombstoneEntry& tombstone : manifest.tombstones) encode_tombstone(tombstone, writer);
  writer.varint(manifest.quarantined.size());
  for (const QuarantinedPart& part : manifest.quarantined) {
    writer.string(part.name);
    writer.svarint(part.time_ms_min);
    writer.svarint(part.time_ms_max);
  }
  writer.u32(core::crc32c(out));
}

Result<Manifest> decode_manifest(std::span<const std::byte> bytes) {
  constexpr std::size_t kFixedBytes = 8 + sizeof(std::uint32_t) * 2;
  if (bytes.size() < kFixedBytes) return damaged("too short");
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return damaged("magic number");
  storage::ByteReader reader(bytes.subspan(kMagic.size(), bytes.size() - kMagic.size() - 4));
  const std::uint32_t version = reader.u32();
  if (version > kVersion) {
    return fail(Code::FailedPrecondition,
                fmt::format("the metrics manifest has format {}, this program knows up to {}: it "
                            "was written by a newer version",
                            version, kVersion));
  }
  storage::ByteReader trailer(bytes.last(sizeof(std::uint32_t)));
  if (trailer.u32() != core::crc32c(bytes.first(bytes.size() - 4))) return damaged("checksum");

  Manifest manifest;
  manifest.next_part_number = reader.varint();
  manifest.tombstone_sequence = reader.varint();
  manifest.log_start.segment = static_cast<std::uint32_t>(reader.varint());
  manifest.log_start.offset_bytes = reader.varint();
  manifest.annotations_number = reader.varint();
  manifest.parts.resize(reader.count(3));
  for (PartEntry& part : manifest.parts) {
    part.number = reader.varint();
    part.day = reader.svarint();
    part.clean_sequence = reader.varint();
  }
  manifest.tombstones.resize(reader.count(4));
  for (TombstoneEntry& tombstone : manifest.tombstones) {
    tombstone.sequence = reader.varint();
    tombstone.start_ms = reader.svarint();
    tombstone.end_ms = reader.svarint();
    GANTRY_TRY(tombstone.matchers, decode_matchers(reader));
  }
  manifest.quarantined.resize(reader.count(3));
  for (QuarantinedPart& part : manifest.quarantined) {
    part.name = reader.string();
    part.time_ms_min = reader.svarint();
    part.time_ms_max = reader.svarint();
  }
  if (!reader.at_end()) return damaged("malformed");
  return manifest;
}

Result<Manifest> read_manifest(storage::FileSystem& files, const storage::Path& path) {
  GANTRY_TRY(const bool exists, files.exists(path));
  if (!exists) return Manifest();
  GANTRY_TRY(const std::vector<std::byte> bytes,
             storage::read_file(files, path, kManifestBytesMax));
  return decode_manifest(bytes);
}

Result<void> write_manifest(storage::FileSystem& files, const storage::Path& path,
                            const Manifest& manifest) {
  std::vector<std::byte> bytes;
  encode_manifest(manifest, bytes);
  return storage::write_file_atomically(files, path, bytes);
}

}  // namespace gantry::metrics
