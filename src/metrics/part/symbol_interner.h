#pragma once

// Gives each distinct string of a part a number and writes them in that order.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "metrics/part/part_format.h"

namespace gantry::metrics {

class SymbolInterner {
 public:
  SymbolInterner();
  ~SymbolInterner();
  SymbolInterner(const SymbolInterner&) = delete;
  SymbolInterner& operator=(const SymbolInterner&) = delete;

  /// Numbers are 0, 1, 2, … in order of first sight.
  std::uint32_t intern(std::string_view text);

  /// Appends frames with all symbols to `file`.
  Result<std::vector<SymbolGroup>> write(storage::FrameWriter& file, int compression_level) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::metrics
