#pragma once

// The only way to a stack's stores.
//
//   auto view = gate.admit(request, {.scope = Scope::MetricsWrite});
//   if (!view) return refuse(view.error());          // status, message and headers are in it
//   auto appended = view->append(batch);
//
// A handler never sees a store: it gets a StackView, which shows what the principal may have for
// the scope that the route declared. Label policies are a filtered source inside StackView.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/access_error.h"
#include "access/authenticator.h"
#include "access/control.h"
#include "access/credentials.h"
#include "access/principal.h"
#include "access/query_limiter.h"
#include "access/use_counters.h"
#include "access/visible_spans.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "metrics/store.h"
#include "net/http.h"
#include "telemetry/span_append_result.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"
#include "traces/store.h"

namespace gantry::access {

/// The open stores of one stack.
struct OpenStores {
  std::shared_ptr<metrics::Store> metrics;
  std::shared_ptr<traces::Store> traces;
};

/// What a principal may do on its stack under one scope. Cheap to move; keeps the stack's stores
/// alive. Using it for another scope than it was opened for is a bug and aborts. The calls into
/// the store may block on disk.
class StackView {
 public:
  [[nodiscard]] const Principal& principal() const { return principal_; }

  [[nodiscard]] StackId stack() const { return principal_.stack; }

  [[nodiscard]] Scope scope() const { return scope_; }

  /// Label policies hide a part of the stack.
  [[nodiscard]] bool is_restricted() const { return !principal_.visibility.is_everything(); }

  /// Status, statistics and settings of the server and of the store as a whole are not for who
  /// sees a part of the stack or came with a token of the read-only endpoint.
  [[nodiscard]] bool sees_server() const {
    return !is_restricted() && principal_.token_kind != TokenKind::Bearer;
  }

  /// MetricsRead. The source lives as long as the view.
  [[nodiscard]] const promql::SeriesSource& metrics_source() const;

  using Metadata = std::vector<std::pair<std::string, std::vector<metrics::MetadataEntry>>>;

  /// MetricsRead: as metrics::Store::metadata. A restricted view has the families of which it shows
  /// a series with a sample in the day before `now` or later. Errors: those of a label look-up.
  [[nodiscard]] Result<Metadata> metrics_metadata(std::string_view family, TimestampMs now,
                                                  const CancelToken& cancel) const;

  /// MetricsRead: as metrics::Store::cardinality. Errors: PermissionDenied on a restricted view:
  /// the store counts what it hides.
  [[nodiscard]] Result<metrics::CardinalityStatistics> metrics_cardinality(std::size_t limit) const;

  /// MetricsRead: as metrics::Store::parts. Errors: PermissionDenied on a restricted view.
  [[nodiscard]] Result<std::vector<metrics::PartStatistics>> metrics_parts() const;

  /// MetricsWrite; MetricsImport lifts the out-of-order window. As metrics::Store::append.
  Result<telemetry::AppendResult> append(const telemetry::MetricBatch& batch) const;

  /// MetricsDelete. As metrics::Store::delete_series.
  Result<void> delete_series(std::span<const promql::Matcher> matchers, std::int64_t start_ms,
                             std::int64_t end_ms) const;

  /// MetricsDelete.
  Result<void> clean_tombstones() const;

  /// TracesRead. The source lives as long as the view.
  [[nodiscard]] const traceql::SpanSource& traces_source() const;

  /// TracesWrite. As traces::Store::append.
  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) const;

  /// TracesDelete. As traces::Store::delete_trace.
  Result<bool> delete_trace(const telemetry::TraceId& id) const;

 private:
  friend class Gate;

  /// What there is instead of the stores' own sources, of the kind that the scope reads; null where
  /// those show all that the principal may see.
  struct Visible {
    std::shared_ptr<const promql::SeriesSource> series;
    std::shared_ptr<const traceql::SpanSource> spans;
  };

  StackView(Principal principal, Scope scope, OpenStores stores, Visible visible,
            QueryPermit permit);

  [[nodiscard]] Result<void> require_server_sight() const;

  Principal principal_;
  Scope scope_;
  OpenStores stores_;
  Visible visible_;
  QueryPermit permit_;
};

/// The open stores of all stacks. The server opens and closes them; only the Gate hands them on.
/// Thread-safe.
class StackStores {
 public:
  /// A stack without a store for a signal is not served for it.
  void add(StackId stack, OpenStores stores);

  /// Nobody gets them from now on; requests in flight may hold them a while longer. Null where
  /// there is none. Closing them is the caller's.
  OpenStores remove(StackId stack);

  /// Replaces limits, retention and windows; does nothing when the stack is not open.
  void reconfigure(StackId stack, const metrics::StoreOptions& metrics,
                   const traces::StoreOptions& traces);

  /// Closes every store; appends are refused from now on. The first error, if any, after all were
  /// tried.
  Result<void> close();

 private:
  friend class Gate;
  [[nodiscard]] OpenStores find(StackId stack) const;
  [[nodiscard]] std::vector<OpenStores> all() const;

  mutable core::SharedMutex mutex_;
  std::map<StackId, OpenStores> stacks_ GANTRY_GUARDED_BY(mutex_);
};

/// Closes what there is of them. The first error, if any, after both were tried.
Result<void> close_stores(const OpenStores& stores);

/// Always in debug builds.
#ifdef NDEBUG
inline constexpr std::uint64_t kRecheckInterval = 1000;
#else
inline constexpr std::uint64_t kRecheckInterval = 1;
#endif

/// What a route declares about who may enter.
struct EntryRule {
  Scope scope = Scope::MetricsRead;
  bool accepts_token_scheme = false;  ///< `Authorization: Token …`, which Influx clients send.
};

/// Thread-safe. May block on the state database (once per token and cache life): not on I/O
/// threads.
class Gate {
 public:
  /// Which door of the house a gate stands at.
  enum class Door : std::uint8_t {
    Main,
    /// Only `Authorization: Bearer`, only tokens that can do nothing but read, only read scopes,
    /// and never more than the token's limits.
    ReadOnlyBearer,
  };

  struct Options {
    bool cloud_compat_status = false;  ///< access.cloud_compat_status: 401 for a missing scope.
    Door door = Door::Main;
    QueryLimiter* limiter = nullptr;                 ///< ReadOnlyBearer only, and needed there.
    const SessionAuthenticator* sessions = nullptr;  ///< Null: people cannot sign in.
    /// Of the views of restricted principals one in so many looks twice at what it shows.
    std::uint64_t recheck_interval = kRecheckInterval;
    HiddenSpans hidden_spans = HiddenSpans::Drop;  ///< traces.hidden_spans
    bool exposes_hidden_names = false;             ///< traces.expose_hidden_names
  };

  /// All must outlive it.
  Gate(Authenticator& authenticator, const StackStores& stores, core::MetricRegistry& registry,
       Options options);

  /// Authenticates and opens.
  [[nodiscard]] AccessResult<StackView> admit(const net::Request& request,
                                              const EntryRule& rule) const;

  /// For the control plane: a token's policy or, without credentials in the header, a console
  /// session. `scope`: absent when any caller will do. `org`: which organisation is meant; a token
  /// has its own and no other. Errors: 401, 403, 503.
  [[nodiscard]] AccessResult<ControlPrincipal> admit_control(
      const net::Request& request, std::optional<Scope> scope,
      std::optional<OrgId> org = std::nullopt) const;

  /// Counts a request of a token by the status it was answered with: an HTTP status, or "grpc_8".
  void count_use(const Principal& principal, std::string_view code) const;

  /// The same for a transport that is not HTTP (gRPC metadata).
  [[nodiscard]] AccessResult<StackView> admit(const RawCredentials& credentials,
                                              const EntryRule& rule) const;

  /// The part after authentication: the scope, then the stack's stores. Errors: 403 without the
  /// scope, with one that no restricted principal has, or with label policies that cannot be read;
  /// 401 when the stack is not served here.
  [[nodiscard]] AccessResult<StackView> open(const Principal& principal, Scope scope) const;

 private:
  AccessResult<StackView> open(const Principal& principal, Scope scope, QueryPermit permit) const;
  void record_refusal(const AccessError& error) const;
  /// The part of what the scope reads that the principal may see.
  [[nodiscard]] StackView::Visible visible_part(const Principal& principal, Scope scope,
                                                const OpenStores& stores) const;
  /// Null: the store's own source shows all that the principal may see.
  [[nodiscard]] std::shared_ptr<const promql::SeriesSource> visible_series(
      const Principal& principal, const metrics::Store& metrics) const;
  [[nodiscard]] std::shared_ptr<const promql::SeriesSource> policy_source(
      const Principal& principal, const metrics::Store& metrics) const;

  Authenticator& authenticator_;
  const StackStores& stores_;
  core::MetricRegistry& registry_;
  Options options_;
  core::Counter& label_policy_leaks_;
  mutable UseCounters uses_;
  mutable std::atomic<std::uint64_t> restricted_count_ = 0;  ///< Decides whose answer is rechecked.
};

}  // namespace gantry::access
