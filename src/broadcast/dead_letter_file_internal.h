#pragma once

// The bytes of a file of dead letters. Format: docs/formats.md, "Dead letters".

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "broadcast/dead_letters.h"
#include "core/error.h"

namespace gantry::broadcast {

/// Magic, version, length and checksum of the head.
inline constexpr std::size_t kLetterPrefixBytes = 20;
inline constexpr std::size_t kLettersPerFileMax = 512;
inline constexpr std::size_t kLetterHeadBytesMax = 1 << 20;

/// Where a letter's payload is in its file.
struct LetterPlace {
  DeadLetter letter;  ///< Its id is the place in the file, from 0.
  std::uint64_t offset_bytes = 0;
  std::uint32_t payload_crc = 0;
};

/// Of 1 to kLettersPerFileMax items.
[[nodiscard]] std::vector<std::byte> encode_letters(std::span<const QueuedItem> items,
                                                    const Refusal& refusal,
                                                    std::int64_t refused_ms);

/// How many bytes come before the payloads, from the first kLetterPrefixBytes. Errors: DataLoss,
/// FailedPrecondition (a newer format).
Result<std::size_t> letter_head_bytes(std::span<const std::byte> prefix);

/// From at least letter_head_bytes of the file. Errors: as letter_head_bytes.
Result<std::vector<LetterPlace>> decode_letter_head(std::span<const std::byte> prefix);

}  // namespace gantry::broadcast
