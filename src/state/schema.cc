#include "state/schema.h"

#include <array>

namespace gantry::state {
namespace {

constexpr std::string_view kAccess = R"sql(
CREATE TABLE organisations (
  id            INTEGER PRIMARY KEY,
  slug          TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT;

-- id is the instance id: the user name of Basic credentials.
CREATE TABLE stacks (
  id            INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
  org_id        INTEGER NOT NULL REFERENCES organisations (id),
  slug          TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL,
  zone          TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX stacks_by_org ON stacks (org_id);

CREATE TABLE users (
  id             TEXT PRIMARY KEY,
  login          TEXT NOT NULL UNIQUE,
  password_hash  TEXT NOT NULL,
  is_super_admin INTEGER NOT NULL DEFAULT 0 CHECK (is_super_admin IN (0, 1)),
  created_at_ms  INTEGER NOT NULL,
  updated_at_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  org_id  INTEGER NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
  role    TEXT NOT NULL CHECK (role IN ('admin', 'editor', 'viewer')),
  PRIMARY KEY (user_id, org_id)
) STRICT;

CREATE TABLE access_policies (
  id            TEXT PRIMARY KEY,
  org_id        INTEGER NOT NULL REFERENCES organisations (id),
  name          TEXT NOT NULL,
  display_name  TEXT NOT NULL,
  status        TEXT NOT NULL CHECK (status IN ('active', 'inactive')),
  source        TEXT NOT NULL CHECK (source IN ('user', 'system')),
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  UNIQUE (org_id, name)
) STRICT;

CREATE TABLE policy_scopes (
  policy_id TEXT NOT NULL REFERENCES access_policies (id) ON DELETE CASCADE,
  position  INTEGER NOT NULL,
  scope     TEXT NOT NULL,
  PRIMARY KEY (policy_id, scope)
) STRICT;

-- identifier: an organisation's id or a stack's id.
CREATE TABLE policy_realms (
  policy_id  TEXT NOT NULL REFERENCES access_policies (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,
  type       TEXT NOT NULL CHECK (type IN ('org', 'stack')),
  identifier INTEGER NOT NULL,
  PRIMARY KEY (policy_id, type, identifier)
) STRICT;

-- hash: HMAC-SHA-256 of the whole token under the pepper of that number. The token itself is
-- nowhere.
CREATE TABLE tokens (
  id               TEXT PRIMARY KEY,
  policy_id        TEXT NOT NULL REFERENCES access_policies (id) ON DELETE CASCADE,
  org_id           INTEGER NOT NULL REFERENCES organisations (id),
  name             TEXT NOT NULL,
  display_name     TEXT NOT NULL,
  kind             TEXT NOT NULL CHECK (kind IN ('glc')),
  hash             BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  pepper_id        INTEGER NOT NULL,
  hint             TEXT NOT NULL,
  created_at_ms    INTEGER NOT NULL,
  expires_at_ms    INTEGER,
  revoked_at_ms    INTEGER,
  first_used_at_ms INTEGER,
  last_used_at_ms  INTEGER,
  UNIQUE (org_id, name)
) STRICT;
CREATE INDEX tokens_by_policy ON tokens (policy_id);
)sql";

constexpr std::string_view kAccessControl = R"sql(
-- settings: JSON; what differs from the server's limits and retention.
ALTER TABLE stacks ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE stacks ADD COLUMN status TEXT NOT NULL DEFAULT 'active'
  CHECK (status IN ('active', 'paused', 'deleted'));
ALTER TABLE stacks ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE stacks ADD COLUMN delete_protection INTEGER NOT NULL DEFAULT 0
  CHECK (delete_protection IN (0, 1));
ALTER TABLE stacks ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- Other user names of a stack, good on the paths of one signal.
CREATE TABLE stack_aliases (
  id       INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
  stack_id INTEGER NOT NULL REFERENCES stacks (id) ON DELETE CASCADE,
  signal   TEXT NOT NULL CHECK (signal IN ('metrics', 'logs', 'traces')),
  UNIQUE (stack_id, signal)
) STRICT;

-- allowed_subnets: a JSON array of CIDR texts, empty for any. attributes: JSON, as it was sent.
ALTER TABLE access_policies ADD COLUMN allowed_subnets TEXT NOT NULL DEFAULT '[]';
ALTER TABLE access_policies ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';

-- label_policies: NULL for all series and spans, else a JSON array of selectors, of which any one
-- must hold.
ALTER TABLE policy_realms ADD COLUMN label_policies TEXT;

-- The table again, with more kinds, and names that become free when a token is revoked.
CREATE TABLE tokens_2 (
  id                  TEXT PRIMARY KEY,
  policy_id           TEXT NOT NULL REFERENCES access_policies (id) ON DELETE CASCADE,
  org_id              INTEGER NOT NULL REFERENCES organisations (id),
  name                TEXT NOT NULL,
  display_name        TEXT NOT NULL,
  kind                TEXT NOT NULL CHECK (kind IN ('glc', 'cqm', 'legacy', 'llm')),
  hash                BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  pepper_id           INTEGER NOT NULL,
  hint                TEXT NOT NULL,
  created_at_ms       INTEGER NOT NULL,
  created_by          TEXT NOT NULL DEFAULT '',
  updated_at_ms       INTEGER NOT NULL,
  expires_at_ms       INTEGER,
  revoked_at_ms       INTEGER,
  revoked_by          TEXT,
  first_used_at_ms    INTEGER,
  last_used_at_ms     INTEGER,
  last_used_from      TEXT,
  last_user_agent     TEXT,
  last_route          TEXT,
  last_rejected_at_ms INTEGER,
  last_rejected_from  TEXT,
  last_reject_reason  TEXT
) STRICT;
INSERT INTO tokens_2 (id, policy_id, org_id, name, display_name, kind, hash, pepper_id, hint,
  created_at_ms, updated_at_ms, expires_at_ms, revoked_at_ms, first_used_at_ms, last_used_at_ms)
  SELECT id, policy_id, org_id, name, display_name, kind, hash, pepper_id, hint, created_at_ms,
    created_at_ms, expires_at_ms, revoked_at_ms, first_used_at_ms, last_used_at_ms FROM tokens;
DROP TABLE tokens;
ALTER TABLE tokens_2 RENAME TO tokens;
CREATE INDEX tokens_by_policy ON tokens (policy_id);
CREATE UNIQUE INDEX tokens_by_name ON tokens (org_id, name) WHERE revoked_at_ms IS NULL;

ALTER TABLE users ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN is_disabled INTEGER NOT NULL DEFAULT 0
  CHECK (is_disabled IN (0, 1));
ALTER TABLE users ADD COLUMN password_changed_at_ms INTEGER;
ALTER TABLE users ADD COLUMN last_login_at_ms INTEGER;

-- As policy_realms.label_policies, for what a person reads.
ALTER TABLE memberships ADD COLUMN label_policies TEXT;

-- Who a person is at an OpenID provider.
CREATE TABLE user_identities (
  issuer        TEXT NOT NULL,
  subject       TEXT NOT NULL,
  user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject)
) STRICT;

-- hash: of the cookie's value, as of tokens. family_id: the sessions that followed each other by
-- rotation since one sign-in. provider: "password" or an OpenID provider's name; provider_session:
-- the provider's own id of the session, for its back-channel logout.
CREATE TABLE sessions (
  hash                BLOB PRIMARY KEY CHECK (length(hash) = 32),
  family_id           TEXT NOT NULL,
  user_id             TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  provider            TEXT NOT NULL,
  provider_session    TEXT NOT NULL DEFAULT '',
  ip                  TEXT NOT NULL,
  user_agent          TEXT NOT NULL,
  signed_in_at_ms     INTEGER NOT NULL,
  authenticated_at_ms INTEGER NOT NULL,
  issued_at_ms        INTEGER NOT NULL,
  last_used_at_ms     INTEGER NOT NULL,
  expires_at_ms       INTEGER NOT NULL,
  replaced_at_ms      INTEGER
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_family ON sessions (family_id);

-- Secrets that work once: set-up and password links, states of OpenID sign-ins.
CREATE TABLE one_time_secrets (
  hash          BLOB PRIMARY KEY CHECK (length(hash) = 32),
  purpose       TEXT NOT NULL CHECK (purpose IN ('password', 'oidc', 'device')),
  user_id       TEXT REFERENCES users (id) ON DELETE CASCADE,
  payload       TEXT NOT NULL DEFAULT '{}',
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  used_at_ms    INTEGER
) STRICT;

-- key: what failures are counted for ("account:…", "ip:…", "account+ip:…").
CREATE TABLE sign_in_failures (
  key              TEXT PRIMARY KEY,
  failures         INTEGER NOT NULL,
  window_start_ms  INTEGER NOT NULL,
  blocked_until_ms INTEGER NOT NULL
) STRICT;

-- response: sealed, since it may hold a new token.
CREATE TABLE idempotent_requests (
  org_id        INTEGER NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
  path          TEXT NOT NULL,
  request_key   TEXT NOT NULL,
  body_hash     BLOB NOT NULL,
  status        INTEGER NOT NULL,
  response      BLOB NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (org_id, path, request_key)
) STRICT;

-- Rows are never changed. hash covers the row and prev_hash, the hash of the row before.
CREATE TABLE audit_events (
  id           INTEGER PRIMARY KEY,
  at_ms        INTEGER NOT NULL,
  event        TEXT NOT NULL,
  outcome      TEXT NOT NULL CHECK (outcome IN ('ok', 'denied', 'error')),
  actor_type   TEXT NOT NULL CHECK (actor_type IN ('user', 'token', 'system', 'anonymous')),
  actor_id     TEXT NOT NULL,
  actor_name   TEXT NOT NULL,
  org_id       INTEGER,
  stack_id     INTEGER,
  target_type  TEXT NOT NULL,
  target_id    TEXT NOT NULL,
  target_name  TEXT NOT NULL,
  ip           TEXT NOT NULL,
  user_agent   TEXT NOT NULL,
  request_id   TEXT NOT NULL,
  session_hash TEXT NOT NULL,
  changes      TEXT NOT NULL,
  reason       TEXT NOT NULL,
  prev_hash    BLOB NOT NULL,
  hash         BLOB NOT NULL
) STRICT;
CREATE INDEX audit_events_by_org ON audit_events (org_id, id);
)sql";

constexpr std::string_view kReplicas = R"sql(
-- One row; epoch grows with every change of who may do what.
CREATE TABLE auth_epoch (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  epoch         INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO auth_epoch (id, epoch, changed_at_ms) VALUES (1, 0, 0);

-- canary: the HMAC of a fixed text under that pepper. Tells whether a secret.key belongs here.
CREATE TABLE pepper_canaries (
  pepper_id INTEGER PRIMARY KEY,
  canary    BLOB NOT NULL CHECK (length(canary) = 32)
) STRICT;

-- One row: where the first login and tokens were written.
CREATE TABLE first_start (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  at_ms INTEGER NOT NULL,
  host  TEXT NOT NULL,
  file  TEXT NOT NULL
) STRICT;
)sql";

constexpr std::string_view kOperations = R"sql(
-- What was said about the coming expiry of a token. days: before it; 0 when it had expired.
CREATE TABLE token_expiry_notices (
  token_id      TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
  expires_at_ms INTEGER NOT NULL,
  days          INTEGER NOT NULL,
  PRIMARY KEY (token_id, expires_at_ms, days)
) STRICT;

-- Settings of the operator that decide who gets in, as of the last start. JSON; secrets as keyed
-- hashes.
CREATE TABLE recorded_settings (
  name           TEXT PRIMARY KEY,
  settings       TEXT NOT NULL,
  recorded_at_ms INTEGER NOT NULL
) STRICT;
)sql";

constexpr std::string_view kOrganisationDeletion = R"sql(
-- Rows of deleted organisations stay: an id is never given again, since audit events keep it.
ALTER TABLE organisations ADD COLUMN deleted_at_ms INTEGER;
)sql";

constexpr std::string_view kPersonalTokens = R"sql(
-- Whose personal tokens a policy is for; NULL: nobody's. They do no more than the person may.
ALTER TABLE access_policies ADD COLUMN owner_user_id TEXT REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX access_policies_by_owner ON access_policies (owner_user_id);
)sql";

constexpr std::string_view kSecrets = R"sql(
-- sealed: a fixed text, sealed with that key of the keyring. Tells whether a keyring belongs here.
CREATE TABLE keyring_canaries (
  key_id TEXT PRIMARY KEY,
  sealed TEXT NOT NULL
) STRICT;

-- wrapped: a key of 32 bytes, sealed with the key `kek` of the keyring. made_under: that key when
-- the row was made. The newest of an organisation seals, the others open.
CREATE TABLE data_keys (
  org_id        INTEGER NOT NULL REFERENCES organisations (id),
  id            INTEGER NOT NULL,
  kek           TEXT NOT NULL,
  made_under    TEXT NOT NULL,
  wrapped       TEXT NOT NULL,
  sealed_count  INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT;

-- sealed: with that data key, for this table, row and name (docs/formats.md).
CREATE TABLE secrets (
  org_id        INTEGER NOT NULL REFERENCES organisations (id),
  owner_table   TEXT NOT NULL,
  owner_id      TEXT NOT NULL,
  name          TEXT NOT NULL,
  data_key      INTEGER NOT NULL,
  sealed        TEXT NOT NULL,
  hint          TEXT NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  PRIMARY KEY (org_id, owner_table, owner_id, name),
  FOREIGN KEY (org_id, data_key) REFERENCES data_keys (org_id, id)
) STRICT;
CREATE INDEX secrets_by_data_key ON secrets (org_id, data_key);
)sql";

constexpr std::string_view kDestinations = R"sql(
-- Where copies of a stack's data go. Deleted ones keep their row, without secrets. config: JSON
-- with masks; the secrets themselves are rows of `secrets`. version grows with every change.
CREATE TABLE destinations (
  id                       TEXT PRIMARY KEY,
  org_id                   INTEGER NOT NULL REFERENCES organisations (id),
  stack_id                 INTEGER NOT NULL REFERENCES stacks (id),
  type                     TEXT NOT NULL,
  name                     TEXT NOT NULL,
  is_enabled               INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  is_private               INTEGER NOT NULL CHECK (is_private IN (0, 1)),
  sampling_rate_billionths INTEGER NOT NULL
    CHECK (sampling_rate_billionths BETWEEN 1 AND 1000000000),
  api_key_hashes           TEXT,
  excluded_api_key_hashes  TEXT NOT NULL,
  filter_rules             TEXT,
  has_generation_cost      INTEGER NOT NULL CHECK (has_generation_cost IN (0, 1)),
  has_generation_identity  INTEGER NOT NULL CHECK (has_generation_identity IN (0, 1)),
  has_generation_request   INTEGER NOT NULL CHECK (has_generation_request IN (0, 1)),
  config                   TEXT NOT NULL,
  version                  INTEGER NOT NULL,
  created_at_ms            INTEGER NOT NULL,
  updated_at_ms            INTEGER NOT NULL,
  deleted_at_ms            INTEGER
) STRICT;
CREATE INDEX destinations_by_stack ON destinations (org_id, stack_id, created_at_ms, id)
  WHERE deleted_at_ms IS NULL;
)sql";

constexpr std::string_view kGatewayKeys = R"sql(
-- id: the keyed hash of the secret under that pepper, in hexadecimal. Amounts are 10^-12 USD.
-- allowed_models: one a line; empty: all.
CREATE TABLE gateway_keys (
  id             TEXT PRIMARY KEY CHECK (length(id) = 64),
  org_id         INTEGER NOT NULL REFERENCES organisations (id),
  stack_id       INTEGER NOT NULL REFERENCES stacks (id),
  pepper_id      INTEGER NOT NULL,
  name           TEXT NOT NULL,
  label          TEXT NOT NULL,
  spend_limit    INTEGER CHECK (spend_limit >= 0),
  limit_reset    TEXT NOT NULL CHECK (limit_reset IN ('never', 'daily', 'weekly', 'monthly')),
  includes_byok  INTEGER NOT NULL CHECK (includes_byok IN (0, 1)),
  rpm            INTEGER CHECK (rpm > 0),
  tpm            INTEGER CHECK (tpm > 0),
  max_concurrent INTEGER CHECK (max_concurrent > 0),
  allowed_models TEXT NOT NULL,
  is_disabled    INTEGER NOT NULL CHECK (is_disabled IN (0, 1)),
  expires_at_ms  INTEGER,
  created_by     TEXT NOT NULL,
  created_at_ms  INTEGER NOT NULL,
  updated_at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX gateway_keys_by_stack ON gateway_keys (org_id, stack_id, created_at_ms, id);

-- What a key has spent: ever, and in the UTC day, week and month of as_of_ms. byok: at providers
-- whose key is the client's own.
CREATE TABLE gateway_key_usage (
  key_id       TEXT PRIMARY KEY REFERENCES gateway_keys (id) ON DELETE CASCADE,
  org_id       INTEGER NOT NULL REFERENCES organisations (id),
  as_of_ms     INTEGER NOT NULL,
  total        INTEGER NOT NULL,
  daily        INTEGER NOT NULL,
  weekly       INTEGER NOT NULL,
  monthly      INTEGER NOT NULL,
  byok_total   INTEGER NOT NULL,
  byok_daily   INTEGER NOT NULL,
  byok_weekly  INTEGER NOT NULL,
  byok_monthly INTEGER NOT NULL
) STRICT;

-- What a replica may spend of a key's limit without asking; counts as spent until it expires.
CREATE TABLE gateway_budget_leases (
  key_id        TEXT NOT NULL REFERENCES gateway_keys (id) ON DELETE CASCADE,
  holder        TEXT NOT NULL,
  org_id        INTEGER NOT NULL REFERENCES organisations (id),
  amount        INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  PRIMARY KEY (key_id, holder)
) STRICT;
)sql";

constexpr std::string_view kGatewayGenerations = R"sql(
-- Finished calls of the gateway, without what was asked and answered. record: the JSON object that
-- the API shows.
CREATE TABLE gateway_generations (
  org_id        INTEGER NOT NULL REFERENCES organisations (id),
  id            TEXT NOT NULL,
  stack_id      INTEGER NOT NULL REFERENCES stacks (id),
  created_at_ms INTEGER NOT NULL,
  record        TEXT NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT;
CREATE INDEX gateway_generations_by_time ON gateway_generations (created_at_ms);
)sql";

constexpr std::string_view kDestinationReplays = R"sql(
-- Past traces that are sent to a destination again; the last replay of each. replica: whose stores
-- are read; empty: there is only one. position_ns, position_trace (32 hexadecimal digits): the
-- trace up to which everything is in the queue.
CREATE TABLE destination_replays (
  destination_id TEXT NOT NULL REFERENCES destinations (id),
  replica        TEXT NOT NULL,
  org_id         INTEGER NOT NULL REFERENCES organisations (id),
  id             TEXT NOT NULL,
  state          TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed', 'cancelled')),
  start_ns       INTEGER NOT NULL,
  end_ns         INTEGER NOT NULL,
  position_ns    INTEGER NOT NULL,
  position_trace TEXT NOT NULL,
  traces_read    INTEGER NOT NULL,
  traces_queued  INTEGER NOT NULL,
  spans_queued   INTEGER NOT NULL,
  problem        TEXT NOT NULL,
  created_at_ms  INTEGER NOT NULL,
  updated_at_ms  INTEGER NOT NULL,
  PRIMARY KEY (destination_id, replica)
) STRICT;
CREATE INDEX destination_replays_running ON destination_replays (replica) WHERE state = 'running';
)sql";

constexpr std::string_view kStackRules = R"sql(
-- What a stack makes of what it receives. rules: the JSON object that the API shows. version grows
-- with every change; the row stays when the rules are cleared, so that no version comes twice.
CREATE TABLE stack_rules (
  stack_id      INTEGER NOT NULL PRIMARY KEY REFERENCES stacks (id),
  org_id        INTEGER NOT NULL REFERENCES organisations (id),
  rules         TEXT NOT NULL,
  version       INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT;
)sql";

constexpr std::string_view kDestinationAttributeRules = R"sql(
-- As entered, JSON; NULL: none.
ALTER TABLE destinations ADD COLUMN attribute_rules TEXT;
)sql";

constexpr std::string_view kDestinationMetricRules = R"sql(
-- As entered, JSON; NULL: none.
ALTER TABLE destinations ADD COLUMN metric_relabel_configs TEXT;
ALTER TABLE destinations ADD COLUMN stream_aggregation TEXT;
)sql";

constexpr std::string_view kDestinationReplayMetrics = R"sql(
-- Past metrics. metrics_ms, metrics_group: the slice of time and the group of series up to which
-- everything is in the queue. Replays from before have no metrics: theirs are at the end.
ALTER TABLE destination_replays ADD COLUMN metrics_ms INTEGER NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE destination_replays ADD COLUMN metrics_group INTEGER NOT NULL DEFAULT 0;
ALTER TABLE destination_replays ADD COLUMN samples_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE destination_replays ADD COLUMN samples_queued INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr std::array kMigrations = {
    Migration{.version = 1, .name = "access", .sql = kAccess},
    Migration{.version = 2, .name = "access_control", .sql = kAccessControl},
    Migration{.version = 3, .name = "replicas", .sql = kReplicas},
    Migration{.version = 4, .name = "operations", .sql = kOperations},
    Migration{.version = 5, .name = "organisation_deletion", .sql = kOrganisationDeletion},
    Migration{.version = 6, .name = "personal_tokens", .sql = kPersonalTokens},
    Migration{.version = 7, .name = "secrets", .sql = kSecrets},
    Migration{.version = 8, .name = "destinations", .sql = kDestinations},
    Migration{.version = 9, .name = "gateway_keys", .sql = kGatewayKeys},
    Migration{.version = 10, .name = "gateway_generations", .sql = kGatewayGenerations},
    Migration{.version = 11, .name = "destination_replays", .sql = kDestinationReplays},
    Migration{.version = 12, .name = "stack_rules", .sql = kStackRules},
    Migration{
        .version = 13, .name = "destination_attribute_rules", .sql = kDestinationAttributeRules},
    Migration{.version = 14, .name = "destination_metric_rules", .sql = kDestinationMetricRules},
    Migration{
        .version = 15, .name = "destination_replay_metrics", .sql = kDestinationReplayMetrics},
};

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

}  // namespace gantry::state
