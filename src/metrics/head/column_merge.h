#pragma once

// Puts samples that several sources appended one after the other into one ascending order.

#include <cstddef>

#include "metrics/part/block.h"
#include "promql/series_source.h"

namespace gantry::metrics {

/// Sources are appended to `Columns` oldest first; each ascends by itself. `note_source` after each
/// one watches whether the whole still ascends; `finish` sorts if it does not. Of samples with the
/// same timestamp the last appended stays.
template <class Columns>
class ColumnMerge {
 public:
  explicit ColumnMerge(Columns& out);

  void note_source();
  void finish();

 private:
  Columns& out_;
  std::size_t float_count_ = 0;
  std::size_t histogram_count_ = 0;
  bool floats_ascend_ = true;
  bool histograms_ascend_ = true;
};

/// What a flush writes: both kinds of one series, lossless.
struct SeriesColumns {
  FloatColumns floats;
  HistogramColumns histograms;

  void clear() {
    floats.clear();
    histograms.clear();
  }
};

extern template class ColumnMerge<promql::SampleColumns>;
extern template class ColumnMerge<SeriesColumns>;

}  // namespace gantry::metrics
