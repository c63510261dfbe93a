#include "promql/series_source.h"

namespace gantry::promql {

void SampleColumns::clear() {
  timestamps_ms.clear();
  values.clear();
  start_timestamps_ms.clear();
  histograms.clear();
}

}  // namespace gantry::promql
