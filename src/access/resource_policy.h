#pragma once

// Label policies over traces: a span is shown when its resource's attributes satisfy a policy.
//
// A label names a resource attribute: `{"service.name"="x"}` by its own name,
// `{"resource.team"="x"}` likewise, and `{service_name="x"}` by what the attribute is called as a
// Prometheus label. A number or boolean compares as its text. Of an array any element satisfies `=`
// and `=~`, and none may violate
// `!=` and `!~`. A missing attribute is the empty string.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/label_policy.h"
#include "core/error.h"
#include "telemetry/span_batch.h"
#include "traceql/eval/row_set.h"
#include "traceql/span_source.h"

namespace gantry::access {

/// Thread-safe.
class ResourcePolicy {
 public:
  /// `policies` is not null.
  explicit ResourcePolicy(std::shared_ptr<const LabelPolicySet> policies);

  /// Rows of the group's resource table whose spans are shown. Errors: those of the group.
  Result<traceql::RowSet> shown_resources(traceql::SpanGroup& group) const;

  [[nodiscard]] bool shows(std::span<const telemetry::SpanAttribute> resource) const;

 private:
  /// The texts that one resource has for one label, by how well the attribute's name fits.
  struct Values {
    std::vector<std::string> exact;
    std::vector<std::string> translated;
    bool is_damaged = false;  ///< A value cannot be read: nothing can be said of the resource.

    [[nodiscard]] bool satisfy(const promql::Matcher& matcher) const;
  };

  enum class Fit : std::uint8_t { None, Translated, Exact };
  [[nodiscard]] static Fit fit(std::string_view label, std::string_view key);
  static void add(Values& values, Fit fit, const telemetry::AttributeValue& value);

  /// `values` by position in `labels_`.
  [[nodiscard]] bool shows(std::span<const Values> values) const;

  [[nodiscard]] std::size_t label_index(std::string_view name) const;

  std::shared_ptr<const LabelPolicySet> policies_;
  std::vector<std::string> labels_;  ///< That some policy asks for; sorted, unique.
};

/// For saving an access policy that reads traces. Errors: InvalidArgument for a label that names
/// something else than a resource attribute: `__name__`, `span.x`, `event.x`, `link.x`.
Result<void> check_trace_policies(const LabelPolicySet& policies);

}  // namespace gantry::access
