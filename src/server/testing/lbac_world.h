#pragma once

// A whole server without its sockets: one stack with a metrics store in memory behind the real
// router, gate and tokens, and any number of twins of that stack with fewer series, so that what a
// restricted token gets can be compared with what anybody gets where the hidden series never were.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/authenticator.h"
#include "access/directory.h"
#include "access/gate.h"
#include "access/label_policy.h"
#include "access/query_limiter.h"
#include "access/testing/test_rows.h"
#include "access/token.h"
#include "api/services.h"
#include "core/metrics.h"
#include "metrics/store.h"
#include "net/router.h"
#include "promql/engine.h"
#include "server/readiness.h"
#include "state/db.h"
#include "storage/faulty_file_system.h"
#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"

namespace gantry::server {

struct WorldSeries {
  telemetry::Labels labels;
  std::vector<std::pair<std::int64_t, double>> samples;  ///< Ascending by time.
  std::vector<std::pair<std::int64_t, telemetry::Labels>> exemplars;
};

struct WorldFamily {
  std::string name;
  telemetry::MetricType type = telemetry::MetricType::Gauge;
  std::string help;
};

struct WorldData {
  std::vector<WorldSeries> series;
  std::vector<WorldFamily> families;
};

/// What of `data` the policies show; gauge families by their series' name.
[[nodiscard]] WorldData visible_part(const WorldData& data, const access::LabelPolicySet& policies);

struct WorldRequest {
  net::Method method = net::Method::Get;
  std::string path;  ///< As sent.
  std::string query;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Encodes for a query string or a form.
[[nodiscard]] std::string encode_parameters(
    const std::vector<std::pair<std::string, std::string>>& parameters);

/// One store with everything that stands in front of it.
class WorldSite {
 public:
  WorldSite(access::Authenticator& authenticator, StackId stack, const Clock& clock,
            const WorldData& data);

  [[nodiscard]] net::Response send(const WorldRequest& request) const;

  [[nodiscard]] core::MetricRegistry& registry() { return registry_; }

 private:
  storage::FaultyFileSystem files_;
  core::MetricRegistry registry_;
  promql::Engine engine_;
  traceql::Engine traceql_{{}};
  access::StackStores stores_;
  access::QueryLimiter limiter_;
  std::unique_ptr<access::Gate> gate_;
  std::unique_ptr<access::Gate> read_only_gate_;
  std::unique_ptr<api::Services> services_;
  std::unique_ptr<api::Services> read_only_services_;
  Readiness readiness_;
  std::shared_ptr<const net::Router> router_;
};

/// The control plane: stack 1000001, access policies, and one token for each.
class World {
 public:
  explicit World(TimestampMs now);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] std::unique_ptr<WorldSite> make_site(const WorldData& data);

  /// The secret of the token of a new policy for the stack. Null: unrestricted.
  std::string add_token(std::string_view policy_name,
                        const std::optional<std::vector<std::string>>& selectors,
                        std::string_view attributes = "{}");

  /// Replaces what is stored as the label policies of a policy, unchecked, and lets it take effect.
  void store_selectors(std::string_view policy_name, std::string_view json);

  ManualClock& clock() { return clock_; }

  [[nodiscard]] access::Authenticator& authenticator() { return authenticator_; }

 private:
  template <class Body>
  auto write(Body body);

  std::filesystem::path path_;
  ManualClock clock_;
  core::MetricRegistry registry_;
  std::unique_ptr<state::Db> db_;
  access::Directory directory_;
  access::TokenHasher hasher_;
  access::TestRows rows_;
  access::Authenticator authenticator_;
  access::OrgId org_;
  StackId stack_;
};

}  // namespace gantry::server
