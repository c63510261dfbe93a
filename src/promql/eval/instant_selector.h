#pragma once

// An instant selector over all steps: at each, the newest sample within the lookback.

#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/row_producer.h"

namespace gantry::promql::eval {

/// What a cell of an instant selector holds.
enum class InstantValue : std::uint8_t {
  Sample,          ///< The sample's value.
  Timestamp,       ///< timestamp(): its time in seconds, of floats and histograms alike.
  StartTimestamp,  ///< start_timestamp(): its start time in seconds, 0 when unknown.
  FloatTimeMs,     ///< info(): a float's time in milliseconds; histograms stay what they are.
};

Result<RowProducerPtr> make_instant_selector(QueryContext& context, const VectorSelector& selector,
                                             const Grid& grid, InstantValue value,
                                             std::string_view within);

}  // namespace gantry::promql::eval
