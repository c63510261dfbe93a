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

constexpr std::array kMigrations = {
    Migration{.version = 1, .name = "access", .sql = kAccess},
};

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

}  // namespace gantry::state
