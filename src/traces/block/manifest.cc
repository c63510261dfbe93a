#include "traces/block/manifest.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "core/hash.h"
#include "storage/byte_cursor.h"
#include "storage/directory.h"

namespace gantry::traces {
namespace {

using storage::ByteReader;
using storage::ByteWriter;

constexpr std::string_view kMagic = "GNTRTMAN";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kManifestBytesMax = 256 << 20;
constexpr std::size_t kDeletionBytesMin = 17;

std::unexpected<Error> damaged(std::string_view why) {
  return fail(Code::DataLoss, "the traces manifest is damaged: " + std::string(why));
}

void encode_position(const storage::LogPosition& position, ByteWriter& writer) {
  writer.varint(position.segment);
  writer.varint(position.offset_bytes);
}

storage::LogPosition decode_position(ByteReader& reader) {
  const std::uint64_t segment = reader.varint();
  if (segment > std::numeric_limits<std::uint32_t>::max()) reader.fail();
  storage::LogPosition position;
  position.segment = static_cast<std::uint32_t>(segment);
  position.offset_bytes = reader.varint();
  return position;
}

TraceDeletion decode_deletion(ByteReader& reader) {
  TraceDeletion deletion;
  const auto id = reader.bytes(deletion.id.bytes.size());
  if (!id.empty()) std::memcpy(deletion.id.bytes.data(), id.data(), id.size());
  deletion.sequence = reader.varint();
  return deletion;
}

}  // namespace

storage::Path BlockEntry::path() const {
  return storage::Path("blocks") / fmt::format("{:012}", number);
}

void encode_manifest(const Manifest& manifest, std::vector<std::byte>& out) {
  out.clear();
  ByteWriter writer(out);
  writer.raw(kMagic.data(), kMagic.size());
  writer.u32(kVersion);
  writer.varint(manifest.next_block_number);
  writer.varint(manifest.deletion_sequence);
  encode_position(manifest.log_start, writer);
  writer.varint(manifest.blocks.size());
  for (const BlockEntry& block : manifest.blocks) {
    writer.varint(block.number);
    writer.varint(block.clean_sequence);
    writer.svarint(block.start_ns_min);
    writer.svarint(block.end_ns_max);
  }
  writer.varint(manifest.deletions.size());
  for (const TraceDeletion& deletion : manifest.deletions) {
    writer.raw(deletion.id.bytes.data(), deletion.id.bytes.size());
    writer.varint(deletion.sequence);
  }
  writer.varint(manifest.quarantined.size());
  for (const QuarantinedBlock& block : manifest.quarantined) {
    writer.string(block.name);
    writer.svarint(block.start_ns_min);
    writer.svarint(block.end_ns_max);
  }
  writer.u32(core::crc32c(out));
}

Result<Manifest> decode_manifest(std::span<const std::byte> bytes) {
  constexpr std::size_t kFixedBytes = 8 + sizeof(std::uint32_t) * 2;
  if (bytes.size() < kFixedBytes) return damaged("too short");
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return damaged("magic number");
  ByteReader reader(bytes.subspan(kMagic.size(), bytes.size() - kMagic.size() - 4));
  const std::uint32_t version = reader.u32();
  if (version > kVersion) {
    return fail(Code::FailedPrecondition,
                fmt::format("the traces manifest has format {}, this program knows up to {}: it "
                            "was written by a newer version",
                            version, kVersion));
  }
  ByteReader trailer(bytes.last(sizeof(std::uint32_t)));
  if (trailer.u32() != core::crc32c(bytes.first(bytes.size() - 4))) return damaged("checksum");

  Manifest manifest;
  manifest.next_block_number = reader.varint();
  manifest.deletion_sequence = reader.varint();
  manifest.log_start = decode_position(reader);
  manifest.blocks.resize(reader.count(4));
  for (BlockEntry& block : manifest.blocks) {
    block.number = reader.varint();
    block.clean_sequence = reader.varint();
    block.start_ns_min = reader.svarint();
    block.end_ns_max = reader.svarint();
    if (block.number >= manifest.next_block_number) reader.fail();
  }
  manifest.deletions.resize(reader.count(kDeletionBytesMin));
  for (TraceDeletion& deletion : manifest.deletions) deletion = decode_deletion(reader);
  manifest.quarantined.resize(reader.count(3));
  for (QuarantinedBlock& block : manifest.quarantined) {
    block.name = reader.string();
    block.start_ns_min = reader.svarint();
    block.end_ns_max = reader.svarint();
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

}  // namespace gantry::traces
