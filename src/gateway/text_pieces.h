#pragma once

// The pieces into which OpenAI's encodings divide a text before each is made into tokens, by the
// patterns of tiktoken (tiktoken_ext/openai_public.py).

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gantry::gateway {

enum class Encoding : std::uint8_t { Cl100kBase, O200kBase };

/// Where the piece that begins at `begin` ends: behind it, so that a loop ends. `begin` is an
/// earlier piece's end, or 0, and lies before the text's end. Bytes that are no UTF-8 are
/// characters of no class. All pieces of a text together take time in proportion to it.
[[nodiscard]] std::size_t piece_end(Encoding encoding, std::string_view text, std::size_t begin);

}  // namespace gantry::gateway
