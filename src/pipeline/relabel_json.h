#pragma once

// metric_relabel_configs as JSON: the keys and defaults are Prometheus'.

#include <cstddef>
#include <string_view>

#include "core/error.h"
#include "pipeline/relabel.h"

namespace gantry::pipeline {

inline constexpr std::size_t kRelabelBytesMax = 64 << 10;  ///< Of the JSON text.
inline constexpr std::size_t kRelabelConfigsMax = 100;

/// From `[{"source_labels":["__name__"],"regex":"go_.*","action":"drop"}]`; `null` keeps everything
/// as it is. Errors: InvalidArgument, which names the rule and the key
/// ("metric_relabel_configs[0].action: unknown relabel action \"x\"") and the limit if one is
/// passed; a key that is not known or given twice is refused.
[[nodiscard]] Result<RelabelRules> parse_relabel_rules(std::string_view json);

}  // namespace gantry::pipeline
