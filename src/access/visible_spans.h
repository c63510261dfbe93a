#pragma once

// A trace source as a restricted principal sees it: the spans that its label policies show, and no
// trace of any other. A query over it answers as over a store that never had the others.

#include <cstdint>
#include <memory>
#include <optional>

#include "access/label_policy.h"
#include "access/resource_policy.h"
#include "traceql/span_source.h"

namespace gantry::access {

/// What a trace by id shows of hidden spans.
enum class HiddenSpans : std::uint8_t {
  Drop,      ///< Nothing.
  Skeleton,  ///< Ids, kind, times and status code, under the name "hidden".
};

/// Thread-safe, as the source below it.
class VisibleSpans final : public traceql::SpanSource {
 public:
  struct Options {
    /// Null: the policies hide nothing.
    std::shared_ptr<const LabelPolicySet> policies;
    /// Spans that start before it do not exist; milliseconds.
    std::optional<std::int64_t> earliest_ms;
    HiddenSpans hidden_spans = HiddenSpans::Drop;
    bool exposes_hidden_names = false;  ///< Skeletons keep their span's name.
  };

  /// `source` must outlive it.
  VisibleSpans(const traceql::SpanSource& source, Options options);

  Result<std::unique_ptr<traceql::SpanSnapshot>> open(const traceql::OpenRequest& request,
                                                      const CancelToken& cancel) const override;

  Result<void> find_trace(const telemetry::TraceId& id, std::int64_t start_ns, std::int64_t end_ns,
                          const CancelToken& cancel, telemetry::SpanBatch& batch) const override;

 private:
  const traceql::SpanSource& source_;
  Options options_;
  std::shared_ptr<const ResourcePolicy> policy_;  ///< Null: shows every resource.
};

}  // namespace gantry::access
