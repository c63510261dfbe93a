#include "access/visible_spans.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "traceql/subset_group.h"

namespace gantry::access {
namespace {

using telemetry::BatchSpan;
using telemetry::SpanBatch;
using traceql::GroupBounds;
using traceql::SpanGroup;
using traceql::SpanSnapshot;

constexpr std::string_view kHiddenName = "hidden";

std::int64_t earliest_ns(const VisibleSpans::Options& options) {
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();
  return options.earliest_ms ? *options.earliest_ms * 1'000'000 : kNever;
}

class VisibleSnapshot final : public SpanSnapshot {
 public:
  VisibleSnapshot(std::unique_ptr<SpanSnapshot> all, std::shared_ptr<const ResourcePolicy> policy,
                  std::int64_t earliest_ns)
      : all_(std::move(all)), policy_(std::move(policy)), earliest_ns_(earliest_ns) {
    // What is left of a trace may start as late as its last span.
    const auto bounds = all_->groups();
    order_.resize(bounds.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::ranges::sort(order_, [&](std::size_t a, std::size_t b) {
      return std::pair(bounds[a].start_ns_max, b) > std::pair(bounds[b].start_ns_max, a);
    });
    for (const std::size_t i : order_) {
      GroupBounds& group = bounds_.emplace_back(bounds[i]);
      group.trace_start_ns_max = group.start_ns_max;
    }
  }

  [[nodiscard]] std::span<const GroupBounds> groups() const override { return bounds_; }

  Result<std::unique_ptr<SpanGroup>> open(std::size_t group) const override {
    GANTRY_TRY(auto all, all_->open(order_[group]));
    traceql::RowSet rows(all->counts().spans, true);
    if (policy_) GANTRY_CHECK(keep_shown(*all, rows));
    if (bounds_[group].start_ns_min < earliest_ns_) GANTRY_CHECK(keep_recent(*all, rows));
    if (rows.is_full()) return all;
    return traceql::make_subset_group(std::move(all), rows);
  }

  [[nodiscard]] std::vector<std::string> warnings() const override { return all_->warnings(); }

 private:
  Result<void> keep_shown(SpanGroup& group, traceql::RowSet& rows) const {
    GANTRY_TRY(const traceql::RowSet shown, policy_->shown_resources(group));
    GANTRY_TRY(const auto resources, group.resources());
    for (std::uint32_t row = 0; row < resources.size(); ++row) {
      if (!shown.contains(resources[row])) rows.remove(row);
    }
    return {};
  }

  Result<void> keep_recent(SpanGroup& group, traceql::RowSet& rows) const {
    GANTRY_TRY(const auto starts, group.starts_ns());
    for (std::uint32_t row = 0; row < starts.size(); ++row) {
      if (starts[row] < earliest_ns_) rows.remove(row);
    }
    return {};
  }

  std::unique_ptr<SpanSnapshot> all_;
  std::shared_ptr<const ResourcePolicy> policy_;
  std::int64_t earliest_ns_;
  std::vector<std::size_t> order_;  ///< Of this snapshot's groups in the one below.
  std::vector<GroupBounds> bounds_;
};

/// What may be said of a span that is hidden.
BatchSpan skeleton_of(const BatchSpan& span, bool keeps_name) {
  BatchSpan skeleton;
  skeleton.trace_id = span.trace_id;
  skeleton.span_id = span.span_id;
  skeleton.parent_id = span.parent_id;
  skeleton.start_ns = span.start_ns;
  skeleton.end_ns = span.end_ns;
  skeleton.kind = span.kind;
  skeleton.status = span.status;
  skeleton.name = keeps_name ? span.name : kHiddenName;
  return skeleton;
}

}  // namespace

VisibleSpans::VisibleSpans(const traceql::SpanSource& source, Options options)
    : source_(source), options_(std::move(options)) {
  if (!options_.policies) return;
  // A policy that says nothing of resources was not meant to show every trace.
  if (!check_trace_policies(*options_.policies))
    options_.policies = std::make_shared<const LabelPolicySet>(LabelPolicySet::nothing());
  policy_ = std::make_shared<const ResourcePolicy>(options_.policies);
}

Result<std::unique_ptr<SpanSnapshot>> VisibleSpans::open(const traceql::OpenRequest& request,
                                                         const CancelToken& cancel) const {
  GANTRY_TRY(auto all, source_.open(request, cancel));
  return std::make_unique<VisibleSnapshot>(std::move(all), policy_, earliest_ns(options_));
}

Result<void> VisibleSpans::find_trace(const telemetry::TraceId& id, std::int64_t start_ns,
                                      std::int64_t end_ns, const CancelToken& cancel,
                                      SpanBatch& batch) const {
  SpanBatch all;
  GANTRY_CHECK(source_.find_trace(id, start_ns, end_ns, cancel, all));
  std::vector<char> shown(all.resources.size(), 1);
  for (std::size_t i = 0; policy_ && i < all.resources.size(); ++i) {
    shown[i] = policy_->shows(all.attributes_of(all.resources[i].attributes)) ? 1 : 0;
  }
  const std::int64_t earliest = earliest_ns(options_);
  const auto is_recent = [&](const BatchSpan& span) {
    return std::cmp_greater_equal(span.start_ns, earliest);
  };
  const bool shows_any = std::ranges::any_of(all.spans, [&](const BatchSpan& span) {
    return shown[span.resource] != 0 && is_recent(span);
  });
  if (!shows_any) return {};

  // Resources are copied once each, not once per span.
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  SpanBatch nobody;
  nobody.resources.emplace_back();
  nobody.scopes.emplace_back();
  std::vector<std::uint32_t> resources(all.resources.size(), kNone);
  std::vector<std::uint32_t> scopes(all.scopes.size(), kNone);
  for (const BatchSpan& span : all.spans) {
    if (!is_recent(span)) continue;
    if (shown[span.resource] == 0) {
      if (options_.hidden_spans == HiddenSpans::Skeleton)
        telemetry::copy_span(nobody, skeleton_of(span, options_.exposes_hidden_names), batch);
      continue;
    }
    BatchSpan& copy = telemetry::copy_span(all, span, batch);
    if (resources[span.resource] == kNone) {
      resources[span.resource] = copy.resource;
    } else {
      batch.resources.pop_back();
      copy.resource = resources[span.resource];
    }
    if (scopes[span.scope] == kNone) {
      scopes[span.scope] = copy.scope;
    } else {
      batch.scopes.pop_back();
      copy.scope = scopes[span.scope];
    }
  }
  return {};
}

}  // namespace gantry::access
