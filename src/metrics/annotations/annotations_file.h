#pragma once

// Exemplars and metadata as of one moment, in a file that a flush leaves beside its parts: the log
// before it is then no longer needed. Format: docs/formats.md, "Metrics annotations".

#include <cstddef>
#include <vector>

#include "core/error.h"
#include "metrics/annotations/exemplar_storage.h"
#include "metrics/annotations/metadata_storage.h"
#include "metrics/index/series_registry.h"
#include "storage/file.h"

namespace gantry::metrics {

/// No collection may run.
void encode_annotations(const SeriesRegistry& registry, const ExemplarStorage& exemplars,
                        const MetadataStorage& metadata, std::vector<std::byte>& out);

/// Exemplars of series that the registry does not know are left out. Errors: DataLoss,
/// FailedPrecondition (a newer format).
Result<void> decode_annotations(std::span<const std::byte> bytes, const SeriesRegistry& registry,
                                ExemplarStorage& exemplars, MetadataStorage& metadata);

}  // namespace gantry::metrics
