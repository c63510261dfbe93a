#pragma once

// A sealed value as text: "gsec1.<kek>.<data key>.<algorithm>.<nonce>.<ciphertext>", nonce and
// ciphertext (with its tag) in base64url without padding. docs/formats.md, "Sealed values".

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "access/secrets/secret.h"
#include "core/error.h"

namespace gantry::access {

inline constexpr std::size_t kSealKeyBytes = 32;
inline constexpr std::size_t kSecretBytesMax = 64 * 1024;  ///< Of what is sealed.

enum class SealAlgorithm : std::uint8_t {
  XChaCha20Poly1305,  ///< "xc20p"
  Aes256Gcm,          ///< "a256gcm": where FIPS 140 asks for it.
};

/// Which keys a value is sealed with. Part of the text, and bound into the seal.
struct SealHeader {
  std::string kek;            ///< The keyring's key that held the data key; is_key_id.
  std::int64_t data_key = 0;  ///< The organisation's data key; 0: the keyring's key itself.
  SealAlgorithm algorithm = SealAlgorithm::XChaCha20Poly1305;

  friend bool operator==(const SealHeader&, const SealHeader&) = default;
};

/// A sealed text in its parts. Parsed is not yet genuine: only `open_sealed` says that.
struct SealedText {
  SealHeader header;
  std::string nonce;       ///< Bytes, as many as the algorithm takes.
  std::string ciphertext;  ///< Bytes, the tag at the end.

  friend bool operator==(const SealedText&, const SealedText&) = default;
};

/// 1 to 32 of a-z, 0-9, '-' and '_', the first no '-' or '_'.
[[nodiscard]] bool is_key_id(std::string_view text);

/// One text for each value: what parses formats back to the same bytes. Errors: DataLoss (not such
/// a text), FailedPrecondition (a newer version). Messages hold nothing of the text.
[[nodiscard]] Result<SealedText> parse_sealed(std::string_view text);
[[nodiscard]] std::string format_sealed(const SealedText& sealed);

/// Seals under `key` (kSealKeyBytes) with a random nonce. It opens only with the same `bound_to`.
/// Errors: TooLarge (over kSecretBytesMax), Internal.
[[nodiscard]] Result<SealedText> make_sealed(const SealHeader& header, const Secret& key,
                                             std::string_view bound_to, const Secret& clear);

/// Errors: DataLoss: changed, moved from where it belongs, or sealed with another key.
[[nodiscard]] Result<Secret> open_sealed(const SealedText& sealed, const Secret& key,
                                         std::string_view bound_to);

}  // namespace gantry::access
