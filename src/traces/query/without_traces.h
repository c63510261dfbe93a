#pragma once

// A group of which some traces are not to be seen: deleted, or copied to a newer group.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// `group` without the traces at `hidden` (ascending numbers), their spans and what only those
/// referred to: rows move up, everything is renumbered. Columns are copied when they are asked for.
/// Dictionaries and keys may still have what nothing refers to. Errors: those of the group.
Result<std::unique_ptr<StoredGroup>> without_traces(std::unique_ptr<StoredGroup> group,
                                                    std::span<const std::uint32_t> hidden);

/// Rows of the spans of the traces at `traces` (ascending numbers), ascending.
Result<std::vector<std::uint32_t>> rows_of_traces(StoredGroup& group,
                                                  std::span<const std::uint32_t> traces);

}  // namespace gantry::traces
