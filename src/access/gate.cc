#include "access/gate.h"

#include <utility>

#include "access/visible_metadata.h"
#include "access/visible_series.h"
#include "core/log.h"

namespace gantry::access {
namespace {

#ifdef NDEBUG
constexpr std::uint64_t kRecheckInterval = 1000;
#else
constexpr std::uint64_t kRecheckInterval = 1;
#endif

}  // namespace

StackView::StackView(Principal principal, Scope scope, std::shared_ptr<metrics::Store> metrics,
                     std::shared_ptr<const promql::SeriesSource> visible)
    : principal_(std::move(principal)),
      scope_(scope),
      metrics_(std::move(metrics)),
      visible_(std::move(visible)) {
  GANTRY_ASSERT(is_restricted() == (visible_ != nullptr), "who is restricted gets a filtered view");
}

Result<void> StackView::require_unrestricted() const {
  if (!is_restricted()) return {};
  return fail(Code::PermissionDenied, "endpoint not available on the read-only API");
}

const promql::SeriesSource& StackView::metrics_source() const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  return visible_ ? *visible_ : metrics_->source();
}

Result<StackView::Metadata> StackView::metrics_metadata(std::string_view family, TimestampMs now,
                                                        const CancelToken& cancel) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  Metadata families = metrics_->metadata(family);
  if (visible_) GANTRY_CHECK(keep_visible_families(families, *visible_, now, cancel));
  return families;
}

Result<metrics::CardinalityStatistics> StackView::metrics_cardinality(std::size_t limit) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  GANTRY_CHECK(require_unrestricted());
  return metrics_->cardinality(limit);
}

Result<std::vector<metrics::PartStatistics>> StackView::metrics_parts() const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  GANTRY_CHECK(require_unrestricted());
  return metrics_->parts();
}

Result<telemetry::AppendResult> StackView::append(const telemetry::MetricBatch& batch) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsWrite || scope_ == Scope::MetricsImport,
                "appending needs a view for metrics:write or metrics:import");
  return metrics_->append(batch, {.is_import = scope_ == Scope::MetricsImport});
}

Result<void> StackView::delete_series(std::span<const promql::Matcher> matchers,
                                      std::int64_t start_ms, std::int64_t end_ms) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsDelete, "deleting needs a view for metrics:delete");
  return metrics_->delete_series(matchers, start_ms, end_ms);
}

Result<void> StackView::clean_tombstones() const {
  GANTRY_ASSERT(scope_ == Scope::MetricsDelete, "deleting needs a view for metrics:delete");
  return metrics_->clean_tombstones();
}

void StackStores::add(StackId stack, std::shared_ptr<metrics::Store> metrics) {
  const core::WriteLock lock(mutex_);
  const bool is_new = metrics_.emplace(stack, std::move(metrics)).second;
  GANTRY_ASSERT(is_new, "a stack's stores are opened once");
}

std::shared_ptr<metrics::Store> StackStores::find(StackId stack) const {
  const core::ReadLock lock(mutex_);
  const auto found = metrics_.find(stack);
  return found == metrics_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<metrics::Store>> StackStores::all() const {
  const core::ReadLock lock(mutex_);
  std::vector<std::shared_ptr<metrics::Store>> stores;
  for (const auto& [stack, store] : metrics_) stores.push_back(store);
  return stores;
}

void StackStores::reconfigure(const metrics::StoreOptions& options) {
  for (const auto& store : all()) store->reconfigure(options);
}

Result<void> StackStores::close() {
  Result<void> first;
  for (const auto& store : all())
    if (auto closed = store->close(); !closed && first) first = std::move(closed);
  return first;
}

Gate::Gate(Authenticator& authenticator, const StackStores& stores, core::MetricRegistry& registry,
           Options options)
    : authenticator_(authenticator),
      stores_(stores),
      registry_(registry),
      options_(options),
      label_policy_leaks_(registry.counter(
          "gantry_access_label_policy_leaks_total",
          "Answers withheld because a second check found a series that label policies hide.")) {}

AccessResult<StackView> Gate::admit(const net::Request& request, const EntryRule& rule) const {
  return admit(raw_credentials(request), rule);
}

AccessResult<StackView> Gate::admit(const RawCredentials& credentials,
                                    const EntryRule& rule) const {
  const ChallengeContext context{.scope = rule.scope, .is_browser = credentials.is_browser};
  const auto principal =
      authenticator_.authenticate(credentials, rule.accepts_token_scheme, context);
  if (!principal) {
    record_refusal(principal.error());
    return std::unexpected(principal.error());
  }
  auto view = open(*principal, rule.scope);
  if (!view) record_refusal(view.error());
  return view;
}

AccessResult<StackView> Gate::open(const Principal& principal, Scope scope) const {
  if (!principal.scopes.contains(scope))
    return std::unexpected(missing_scope(scope, options_.cloud_compat_status));
  if (const auto& policies = principal.visibility.policies()) {
    if (policies->is_empty()) return std::unexpected(unreadable_label_policy());
    // Saving a policy refuses the combination; a record that has it all the same grants reading
    // only.
    if (!is_restrictable(scope))
      return std::unexpected(missing_scope(scope, options_.cloud_compat_status));
  }
  auto metrics = stores_.find(principal.stack);
  if (!metrics)
    return std::unexpected(
        invalid_token({.scope = scope, .is_browser = false}, "stack_not_served"));
  auto visible = visible_source(principal, *metrics);
  return StackView(principal, scope, std::move(metrics), std::move(visible));
}

std::shared_ptr<const promql::SeriesSource> Gate::visible_source(
    const Principal& principal, const metrics::Store& metrics) const {
  const auto& policies = principal.visibility.policies();
  if (!policies) return nullptr;
  const bool rechecks =
      restricted_count_.fetch_add(1, std::memory_order_relaxed) % kRecheckInterval == 0;
  return std::make_shared<const VisibleSeries>(
      metrics.source(), policies,
      VisibleSeries::Options{.rechecks = rechecks, .leaks = &label_policy_leaks_});
}

void Gate::record_refusal(const AccessError& error) const {
  // Reasons are a fixed list, so the family is bounded.
  registry_
      .counter("gantry_access_refused_total", "Requests that were not let in.",
               {{"reason", std::string(error.reason)}})
      .add();
  log::debug("request refused", {{"reason", error.reason}, {"status", error.status}});
}

}  // namespace gantry::access
