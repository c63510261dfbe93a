#include "access/gate.h"

#include <algorithm>
#include <utility>

#include "access/label_policy.h"
#include "access/recent_series.h"
#include "access/visible_metadata.h"
#include "access/visible_series.h"
#include "core/log.h"

namespace gantry::access {
namespace {

/// A token of the read-only endpoint, or a policy that grants nothing but reading.
bool can_only_read(const Principal& principal) {
  if (principal.token_kind == TokenKind::Bearer) return true;
  if (principal.token_kind != TokenKind::AccessPolicy) return false;
  for (std::size_t i = 0; i < kScopeCount; ++i) {
    const auto scope = static_cast<Scope>(i);
    if (principal.scopes.contains(scope) && !is_read_scope(scope)) return false;
  }
  return true;
}

bool is_traces_scope(Scope scope) {
  return scope == Scope::TracesRead || scope == Scope::TracesWrite || scope == Scope::TracesDelete;
}

/// Saving a policy refuses label policies beside such a scope; a record that has both all the same
/// grants reading only.
bool is_beyond_restriction(const ControlPrincipal& principal, Scope scope) {
  const bool is_restricted = std::ranges::any_of(
      principal.realms, [](const Realm& realm) { return realm.label_policies.has_value(); });
  return principal.actor.type == Actor::Type::Token && is_restricted && !is_restrictable(scope);
}

/// missing_scope, which says in the audit log when label policies are why nobody could have it.
AccessError refused_scope(Scope scope, bool is_restricted, bool cloud_compat_status) {
  AccessError error = missing_scope(scope, cloud_compat_status);
  if (is_restricted && !is_restrictable(scope)) error.reason = "restricted";
  return error;
}

}  // namespace

StackView::StackView(Principal principal, Scope scope, OpenStores stores, Visible visible,
                     QueryPermit permit)
    : principal_(std::move(principal)),
      scope_(scope),
      stores_(std::move(stores)),
      visible_(std::move(visible)),
      permit_(std::move(permit)) {
  GANTRY_ASSERT(!is_restricted() || scope_ != Scope::MetricsRead || visible_.series != nullptr,
                "who is restricted gets filtered series");
  GANTRY_ASSERT(!is_restricted() || scope_ != Scope::TracesRead || visible_.spans != nullptr,
                "who is restricted gets filtered spans");
}

Result<void> StackView::require_server_sight() const {
  if (sees_server()) return {};
  return fail(Code::PermissionDenied, "endpoint not available on the read-only API");
}

const promql::SeriesSource& StackView::metrics_source() const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  return visible_.series ? *visible_.series : stores_.metrics->source();
}

Result<StackView::Metadata> StackView::metrics_metadata(std::string_view family, TimestampMs now,
                                                        const CancelToken& cancel) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  Metadata families = stores_.metrics->metadata(family);
  if (is_restricted()) GANTRY_CHECK(keep_visible_families(families, *visible_.series, now, cancel));
  return families;
}

Result<metrics::CardinalityStatistics> StackView::metrics_cardinality(std::size_t limit) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  GANTRY_CHECK(require_server_sight());
  return stores_.metrics->cardinality(limit);
}

Result<std::vector<metrics::PartStatistics>> StackView::metrics_parts() const {
  GANTRY_ASSERT(scope_ == Scope::MetricsRead, "reading needs a view for metrics:read");
  GANTRY_CHECK(require_server_sight());
  return stores_.metrics->parts();
}

Result<telemetry::AppendResult> StackView::append(const telemetry::MetricBatch& batch) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsWrite || scope_ == Scope::MetricsImport,
                "appending needs a view for metrics:write or metrics:import");
  return stores_.metrics->append(batch, {.is_import = scope_ == Scope::MetricsImport});
}

Result<void> StackView::delete_series(std::span<const promql::Matcher> matchers,
                                      std::int64_t start_ms, std::int64_t end_ms) const {
  GANTRY_ASSERT(scope_ == Scope::MetricsDelete, "deleting needs a view for metrics:delete");
  return stores_.metrics->delete_series(matchers, start_ms, end_ms);
}

Result<void> StackView::clean_tombstones() const {
  GANTRY_ASSERT(scope_ == Scope::MetricsDelete, "deleting needs a view for metrics:delete");
  return stores_.metrics->clean_tombstones();
}

const traceql::SpanSource& StackView::traces_source() const {
  GANTRY_ASSERT(scope_ == Scope::TracesRead, "reading needs a view for traces:read");
  return visible_.spans ? *visible_.spans : stores_.traces->source();
}

Result<telemetry::SpanAppendResult> StackView::append(const telemetry::SpanBatch& batch) const {
  GANTRY_ASSERT(scope_ == Scope::TracesWrite, "appending needs a view for traces:write");
  return stores_.traces->append(batch);
}

Result<bool> StackView::delete_trace(const telemetry::TraceId& id) const {
  GANTRY_ASSERT(scope_ == Scope::TracesDelete, "deleting needs a view for traces:delete");
  return stores_.traces->delete_trace(id);
}

void StackStores::add(StackId stack, OpenStores stores) {
  const core::WriteLock lock(mutex_);
  const bool is_new = stacks_.emplace(stack, std::move(stores)).second;
  GANTRY_ASSERT(is_new, "a stack's stores are opened once");
}

OpenStores StackStores::find(StackId stack) const {
  const core::ReadLock lock(mutex_);
  const auto found = stacks_.find(stack);
  return found == stacks_.end() ? OpenStores() : found->second;
}

std::vector<OpenStores> StackStores::all() const {
  const core::ReadLock lock(mutex_);
  std::vector<OpenStores> all;
  for (const auto& [stack, stores] : stacks_) all.push_back(stores);
  return all;
}

OpenStores StackStores::remove(StackId stack) {
  const core::WriteLock lock(mutex_);
  const auto found = stacks_.find(stack);
  if (found == stacks_.end()) return {};
  OpenStores stores = std::move(found->second);
  stacks_.erase(found);
  return stores;
}

void StackStores::reconfigure(StackId stack, const metrics::StoreOptions& metrics,
                              const traces::StoreOptions& traces) {
  const OpenStores stores = find(stack);
  if (stores.metrics) stores.metrics->reconfigure(metrics);
  if (stores.traces) stores.traces->reconfigure(traces);
}

Result<void> StackStores::close() {
  Result<void> first;
  for (const OpenStores& stores : all())
    if (auto closed = close_stores(stores); !closed && first) first = std::move(closed);
  return first;
}

Result<void> close_stores(const OpenStores& stores) {
  Result<void> first;
  if (stores.metrics) first = stores.metrics->close();
  if (!stores.traces) return first;
  Result<void> second = stores.traces->close();
  return first ? second : first;
}

Gate::Gate(Authenticator& authenticator, const StackStores& stores, core::MetricRegistry& registry,
           Options options)
    : authenticator_(authenticator),
      stores_(stores),
      registry_(registry),
      options_(options),
      label_policy_leaks_(registry.counter(
          "gantry_access_label_policy_leaks_total",
          "Answers withheld because a second check found a series that label policies hide.")),
      uses_(registry) {
  GANTRY_ASSERT(options.door == Door::Main || options.limiter != nullptr,
                "the read-only door has limits");
}

AccessResult<StackView> Gate::admit(const net::Request& request, const EntryRule& rule) const {
  return admit(raw_credentials(request), rule);
}

AccessResult<StackView> Gate::admit(const RawCredentials& credentials,
                                    const EntryRule& rule) const {
  const ChallengeContext context{.scope = rule.scope, .is_browser = credentials.is_browser};
  const bool is_bearer_door = options_.door == Door::ReadOnlyBearer;
  const auto principal = authenticator_.authenticate(
      credentials,
      {.accepts_token_scheme = rule.accepts_token_scheme, .bearer_only = is_bearer_door}, context);
  if (!principal) {
    record_refusal(principal.error());
    return std::unexpected(principal.error());
  }
  const auto refuse = [&](const AccessError& error) {
    record_refusal(error);
    authenticator_.note_refusal(*principal, credentials.client, error.reason);
    count_use(*principal, std::to_string(error.status));
    return std::unexpected(error);
  };
  QueryPermit permit;
  if (is_bearer_door) {
    if (!can_only_read(*principal) || !is_read_scope(rule.scope))
      return refuse(not_on_read_only_api());
    if (!principal->scopes.contains(rule.scope))
      return refuse(missing_scope(rule.scope, options_.cloud_compat_status));
    auto admitted = options_.limiter->enter(principal->token_id, principal->query_policy.get());
    if (!admitted) return refuse(admitted.error());
    permit = *std::move(admitted);
  }
  auto view = open(*principal, rule.scope, std::move(permit));
  if (!view) return refuse(view.error());
  return view;
}

AccessResult<ControlPrincipal> Gate::admit_control(const net::Request& request,
                                                   std::optional<Scope> scope,
                                                   std::optional<OrgId> org) const {
  const RawCredentials credentials = raw_credentials(request);
  const ChallengeContext context{.scope = scope.value_or(Scope::OrgsRead),
                                 .is_browser = credentials.is_browser};
  const bool has_token = !credentials.authorization.empty() || !credentials.gantry_token.empty() ||
                         credentials.has_secret_in_url || options_.sessions == nullptr ||
                         !request.headers.contains("Cookie");
  auto principal = has_token ? authenticator_.authenticate_control(credentials, context)
                             : options_.sessions->authenticate(request, org);
  if (!principal) {
    record_refusal(principal.error());
    return principal;
  }
  const auto refuse = [&](AccessError error) {
    record_refusal(error);
    authenticator_.note_refusal(*principal, error.reason);
    return std::unexpected(std::move(error));
  };
  if (scope && (!principal->scopes.contains(*scope) || is_beyond_restriction(*principal, *scope))) {
    return refuse(refused_scope(*scope, is_beyond_restriction(*principal, *scope),
                                options_.cloud_compat_status));
  }
  if (has_token && org && *org != principal->org) return refuse(wrong_organisation());
  return principal;
}

AccessResult<StackView> Gate::open(const Principal& principal, Scope scope) const {
  return open(principal, scope, nullptr);
}

AccessResult<StackView> Gate::open(const Principal& principal, Scope scope,
                                   QueryPermit permit) const {
  const auto& policies = principal.visibility.policies();
  // As is_beyond_restriction.
  if (!principal.scopes.contains(scope) || (policies && !is_restrictable(scope)))
    return std::unexpected(refused_scope(scope, policies != nullptr, options_.cloud_compat_status));
  if (policies && policies->is_empty()) return std::unexpected(unreadable_label_policy());
  OpenStores stores = stores_.find(principal.stack);
  const bool is_served =
      is_traces_scope(scope) ? stores.traces != nullptr : stores.metrics != nullptr;
  if (!is_served)
    return std::unexpected(
        invalid_token({.scope = scope, .is_browser = false}, "stack_not_served"));
  StackView::Visible visible = visible_part(principal, scope, stores);
  return StackView(principal, scope, std::move(stores), std::move(visible), std::move(permit));
}

StackView::Visible Gate::visible_part(const Principal& principal, Scope scope,
                                      const OpenStores& stores) const {
  if (scope == Scope::MetricsRead) return {.series = visible_series(principal, *stores.metrics)};
  const bool sees_all = principal.visibility.is_everything() && !principal.earliest_ms;
  if (scope != Scope::TracesRead || sees_all) return {};
  return {.spans = std::make_shared<const VisibleSpans>(
              stores.traces->source(),
              VisibleSpans::Options{.policies = principal.visibility.policies(),
                                    .earliest_ms = principal.earliest_ms,
                                    .hidden_spans = options_.hidden_spans,
                                    .exposes_hidden_names = options_.exposes_hidden_names})};
}

std::shared_ptr<const promql::SeriesSource> Gate::visible_series(
    const Principal& principal, const metrics::Store& metrics) const {
  auto visible = policy_source(principal, metrics);
  if (!principal.earliest_ms) return visible;
  if (!visible)  // the view keeps the store
    visible =
        std::shared_ptr<const promql::SeriesSource>(std::shared_ptr<void>(), &metrics.source());
  return std::make_shared<const RecentSeries>(std::move(visible), *principal.earliest_ms);
}

std::shared_ptr<const promql::SeriesSource> Gate::policy_source(
    const Principal& principal, const metrics::Store& metrics) const {
  const auto& policies = principal.visibility.policies();
  if (!policies) return nullptr;
  const bool rechecks =
      restricted_count_.fetch_add(1, std::memory_order_relaxed) % options_.recheck_interval == 0;
  return std::make_shared<const VisibleSeries>(
      metrics.source(), policies,
      VisibleSeries::Options{.rechecks = rechecks, .leaks = &label_policy_leaks_});
}

void Gate::count_use(const Principal& principal, std::string_view code) const {
  if (principal.kind != PrincipalKind::Token) return;
  uses_.add(principal.token_id, code);
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
