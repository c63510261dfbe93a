#include "telemetry/append_result.h"

namespace gantry::telemetry {

std::string_view reject_reason_name(RejectReason reason) {
  switch (reason) {
    case RejectReason::OutOfOrder:
      return "out_of_order";
    case RejectReason::TooOld:
      return "too_old";
    case RejectReason::Duplicate:
      return "duplicate";
    case RejectReason::TooFarInFuture:
      return "too_far_in_future";
    case RejectReason::InvalidLabels:
      return "invalid_labels";
    case RejectReason::LabelLimit:
      return "label_limit";
    case RejectReason::InvalidHistogram:
      return "invalid_histogram";
    case RejectReason::SeriesLimit:
      return "series_limit";
    case RejectReason::InvalidExemplar:
      return "invalid_exemplar";
    case RejectReason::MetadataLimit:
      return "metadata_limit";
    case RejectReason::BytesPerDay:
      return "bytes_per_day";
  }
  return "unknown";
}

}  // namespace gantry::telemetry
