#pragma once

// The cursor behind PartReader::series.

#include <atomic>
#include <memory>

#include "core/error.h"
#include "metrics/part/part_format.h"
#include "metrics/part/part_reader.h"
#include "storage/checksummed_file.h"

namespace gantry::metrics {

/// Reads all symbols. Everything given must outlive the cursor; `is_damaged` is set when a frame
/// fails.
Result<std::unique_ptr<PartSeriesCursor>> open_series_cursor(const storage::Path& directory,
                                                             const storage::FrameReader& index,
                                                             const PartFooter& footer,
                                                             std::atomic<bool>& is_damaged);

}  // namespace gantry::metrics
