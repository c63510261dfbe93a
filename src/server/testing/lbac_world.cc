#include "server/testing/lbac_world.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "access/secret_key.h"
#include "core/hash.h"
#include "server/routes.h"
#include "state/schema.h"

namespace gantry::server {
namespace {

std::filesystem::path make_directory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "gantry-lbac-XXXXXX").string();
  return mkdtemp(pattern.data());
}

std::unique_ptr<state::Db> open_db(const std::filesystem::path& path) {
  auto db = state::Db::open(path / "gantry.db", {}, state::migrations());
  EXPECT_TRUE(db) << (db ? "" : db.error().message);
  return *std::move(db);
}

/// A batch over series that the caller keeps.
class WorldBatch final : public telemetry::SeriesResolver {
 public:
  explicit WorldBatch(const WorldData& data) : data_(data) {
    batch.resolver = this;
    for (const WorldSeries& series : data.series) {
      std::string text;
      for (const telemetry::Label& label : series.labels)
        text += label.name + '\0' + label.value + '\0';
      batch.series.push_back({.key = core::hash128(text, core::process_hash_seed())});
    }
  }

  Result<void> resolve(std::uint32_t series, core::Arena&,
                       std::vector<telemetry::LabelView>& labels) const override {
    for (const telemetry::Label& label : data_.series[series].labels)
      labels.push_back({.name = label.name, .value = label.value});
    return {};
  }

  telemetry::MetricBatch batch;

 private:
  const WorldData& data_;
};

/// Samples up to and after `middle_ms` apart, so that a part and the head both have some.
void append(metrics::Store& store, const WorldData& data, std::int64_t middle_ms) {
  for (const bool is_first : {true, false}) {
    WorldBatch made(data);
    for (std::uint32_t i = 0; i < data.series.size(); ++i) {
      for (const auto& [time, value] : data.series[i].samples) {
        if ((time <= middle_ms) == is_first)
          made.batch.samples.push_back({.series = i, .timestamp_ms = time, .value = value});
      }
      if (is_first) continue;
      for (const auto& [time, labels] : data.series[i].exemplars) {
        telemetry::Exemplar exemplar{.series = i, .timestamp_ms = time, .value = 1};
        for (const telemetry::Label& label : labels)
          exemplar.labels.push_back({.name = label.name, .value = label.value});
        made.batch.exemplars.push_back(std::move(exemplar));
      }
    }
    if (!is_first) {
      for (const WorldFamily& family : data.families)
        made.batch.metadata.push_back(
            {.family = family.name, .type = family.type, .help = family.help, .unit = {}});
    }
    const auto appended = store.append(made.batch, {.is_import = true});
    ASSERT_TRUE(appended) << appended.error().message;
    ASSERT_EQ(appended->samples_rejected, 0U);
    if (is_first) ASSERT_TRUE(store.flush());
  }
}

void append_encoded(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      out.push_back(c);
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
}

}  // namespace

WorldData visible_part(const WorldData& data, const access::LabelPolicySet& policies) {
  WorldData visible;
  for (const WorldSeries& series : data.series) {
    std::vector<telemetry::LabelView> labels;
    for (const telemetry::Label& label : series.labels)
      labels.push_back({.name = label.name, .value = label.value});
    if (policies.shows(labels)) visible.series.push_back(series);
  }
  for (const WorldFamily& family : data.families) {
    if (std::ranges::any_of(visible.series, [&](const WorldSeries& series) {
          return telemetry::find_label(series.labels, telemetry::kMetricNameLabel) == family.name;
        }))
      visible.families.push_back(family);
  }
  return visible;
}

std::string encode_parameters(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out.push_back('&');
    append_encoded(out, name);
    out.push_back('=');
    append_encoded(out, value);
  }
  return out;
}

WorldSite::WorldSite(access::Authenticator& authenticator, StackId stack, const Clock& clock,
                     const WorldData& data)
    : engine_({.parser = {.experimental_functions = true}}),
      limiter_(clock, registry_, {.requests_per_second = 1'000'000, .burst = 1'000'000}) {
  auto store =
      metrics::Store::open("/data", {}, {.files = files_, .clock = clock, .registry = registry_});
  EXPECT_TRUE(store) << (store ? "" : store.error().message);
  append(**store, data, clock.now().since_epoch - 30 * 60 * 1000);
  stores_.add(stack, {.metrics = *std::move(store)});
  gate_ = std::make_unique<access::Gate>(authenticator, stores_, registry_,
                                         access::Gate::Options{.recheck_interval = 2});
  read_only_gate_ = std::make_unique<access::Gate>(
      authenticator, stores_, registry_,
      access::Gate::Options{
          .door = access::Gate::Door::ReadOnlyBearer, .limiter = &limiter_, .recheck_interval = 2});
  const auto services_behind = [&](const access::Gate& gate) {
    return std::make_unique<api::Services>(api::Services{
        .gate = gate,
        .engine = engine_,
        .traceql = traceql_,
        .clock = clock,
        .registry = registry_,
        .settings = [] { return api::Settings{}; },
        .otlp_options = [](StackId) { return codec::OtlpOptions{}; },
        .process = {.effective_config = [] { return std::string(); },
                    .flags = [] { return std::vector<std::pair<std::string, std::string>>(); },
                    .last_reload = [&clock] { return std::pair(true, clock.now()); },
                    .is_ready = [] { return true; }},
        .metrics_require_token = true});
  };
  services_ = services_behind(*gate_);
  read_only_services_ = services_behind(*read_only_gate_);
  readiness_.set(true);
  router_ = make_main_router(*services_, net::Router(), *read_only_services_, readiness_, nullptr);
}

net::Response WorldSite::send(const WorldRequest& sent) const {
  net::Request request;
  request.method = sent.method;
  request.raw_path = sent.path;
  request.raw_query = sent.query;
  request.body = sent.body;
  for (const auto& [name, value] : sent.headers) request.headers.add(name, value);
  const auto path = net::normalise_path(sent.path);
  if (!path) return net::prometheus_error_response(request, 400, path.error().message);
  request.path = *path;
  const net::RouteMatch match = router_->find(request.method, request.path);
  if (match.route == nullptr) {
    net::Response response = net::prometheus_error_response(request, match.status, "no route");
    if (!match.allow.empty()) response.headers.set("Allow", match.allow);
    return response;
  }
  request.path_parameters = match.path_parameters;
  return match.route->handler(request);
}

template <class Body>
auto World::write(Body body) {
  auto tx = directory_.begin_write();
  EXPECT_TRUE(tx);
  auto result = body(*tx);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  EXPECT_TRUE(tx->commit());
  if constexpr (!std::is_void_v<typename decltype(result)::value_type>) return *result;
}

World::World(TimestampMs now)
    : path_(make_directory()),
      clock_(now),
      db_(open_db(path_)),
      directory_(*db_),
      hasher_(access::SecretKey{.peppers = {access::Pepper{.id = 1, .bytes = {1}}}}),
      rows_(*db_, hasher_, clock_),
      authenticator_(directory_, hasher_, clock_, registry_, {}) {
  org_ = rows_.add_organisation("main");
  for (const std::string_view slug : {"other", "main"}) stack_ = rows_.add_stack(org_, slug);
}

World::~World() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::unique_ptr<WorldSite> World::make_site(const WorldData& data) {
  return std::make_unique<WorldSite>(authenticator_, stack_, clock_, data);
}

std::string World::add_token(std::string_view policy_name,
                             const std::optional<std::vector<std::string>>& selectors,
                             std::string_view attributes) {
  const std::string policy_id =
      rows_.add_policy({.org = org_,
                        .name = policy_name,
                        .scopes = {access::Scope::MetricsRead, access::Scope::TracesRead},
                        .realms = {{.type = access::Realm::Type::Stack,
                                    .identifier = stack_.value(),
                                    .label_policies = selectors}},
                        .attributes = attributes});
  std::string secret = fmt::format("glc_{}", policy_name);
  rows_.add_token({.org = org_, .policy_id = policy_id, .name = policy_name, .secret = secret});
  return secret;
}

void World::store_selectors(std::string_view policy_name, std::string_view json) {
  write([&](state::Transaction& tx) -> Result<void> {
    GANTRY_TRY(state::Statement update,
               tx.prepare("UPDATE policy_realms SET label_policies = ? WHERE policy_id = "
                          "(SELECT id FROM access_policies WHERE org_id = ? AND name = ?)"));
    update.bind(json).bind(org_.value()).bind(policy_name);
    return update.run();
  });
  authenticator_.forget_all();
}

}  // namespace gantry::server
