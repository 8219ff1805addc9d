-- +goose Up

-- An environment's id is its own: one that is made again under an old name has another.
ALTER TABLE environment ADD COLUMN id TEXT NOT NULL DEFAULT '';
UPDATE environment SET id = lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' ||
    substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)));
CREATE UNIQUE INDEX environment_id ON environment (id);

-- The audit belongs to the environment's id. Entries up to a deletion belong to an earlier environment.
ALTER TABLE audit ADD COLUMN environment_id TEXT NOT NULL DEFAULT '';
UPDATE audit SET environment_id = e.id FROM environment e WHERE e.name = audit.environment AND NOT EXISTS
    (SELECT 1 FROM audit d WHERE d.action = 'environment.delete' AND d.subject = audit.environment AND d.id >= audit.id);
DROP INDEX audit_environment;
CREATE INDEX audit_environment ON audit (environment_id, id);
CREATE INDEX audit_environment_name ON audit (environment, id);

-- An account's id is unique in its environment. SQLite changes a key by making the table again, and with
-- it those that refer to it: dropping a table that is referred to would delete their rows.
CREATE TABLE new_account (
    id               TEXT NOT NULL,
    environment      TEXT NOT NULL REFERENCES environment (name),
    integration      TEXT NOT NULL,
    label            TEXT NOT NULL,
    tenant_id        TEXT NOT NULL,
    status           TEXT NOT NULL,
    last_error       TEXT NOT NULL,
    version          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    grant_expires_at INTEGER,
    overrides        TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, environment)
) STRICT;
INSERT INTO new_account SELECT id, environment, integration, label, tenant_id, status, last_error, version, created_at, updated_at,
    grant_expires_at, overrides FROM integrated_account;

CREATE TABLE new_credential (
    account_id  TEXT NOT NULL,
    environment TEXT NOT NULL,
    field       TEXT NOT NULL,
    sealed      TEXT NOT NULL,
    set_at      INTEGER NOT NULL,
    PRIMARY KEY (account_id, environment, field),
    FOREIGN KEY (account_id, environment) REFERENCES new_account (id, environment) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO new_credential SELECT c.account_id, a.environment, c.field, c.sealed, c.set_at FROM credential c JOIN integrated_account a ON a.id = c.account_id;

CREATE TABLE new_token (
    id           TEXT PRIMARY KEY,
    environment  TEXT NOT NULL REFERENCES environment (name),
    account_id   TEXT,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    FOREIGN KEY (account_id, environment) REFERENCES new_account (id, environment) ON DELETE CASCADE
) STRICT;
INSERT INTO new_token SELECT id, environment, account_id, name, role, prefix, hash, expires_at, last_used_at, created_at FROM api_token;

CREATE TABLE new_link (
    id           TEXT PRIMARY KEY,
    hash         BLOB NOT NULL UNIQUE,
    environment  TEXT NOT NULL REFERENCES environment (name) ON DELETE CASCADE,
    integration  TEXT NOT NULL,
    account_id   TEXT,
    label        TEXT NOT NULL,
    tenant_id    TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    FOREIGN KEY (account_id, environment) REFERENCES new_account (id, environment) ON DELETE CASCADE
) STRICT;
INSERT INTO new_link SELECT id, hash, environment, integration, account_id, label, tenant_id, redirect_uri, expires_at, created_at FROM link;

CREATE TABLE new_consent (
    link_id TEXT PRIMARY KEY REFERENCES new_link (id) ON DELETE CASCADE,
    state   BLOB NOT NULL UNIQUE,
    sealed  TEXT NOT NULL,
    browser BLOB NOT NULL
) STRICT;
INSERT INTO new_consent SELECT link_id, state, sealed, browser FROM consent;

DROP TABLE consent;
DROP TABLE link;
DROP TABLE api_token;
DROP TABLE credential;
DROP TABLE integrated_account;
ALTER TABLE new_account RENAME TO integrated_account;
ALTER TABLE new_credential RENAME TO credential;
ALTER TABLE new_token RENAME TO api_token;
ALTER TABLE new_link RENAME TO link;
ALTER TABLE new_consent RENAME TO consent;

CREATE INDEX integrated_account_page ON integrated_account (environment, created_at, id);
CREATE INDEX integrated_account_tenant ON integrated_account (environment, tenant_id, created_at, id);
CREATE INDEX api_token_page ON api_token (environment, created_at, id);
CREATE INDEX api_token_account ON api_token (account_id);
CREATE INDEX api_token_expiry ON api_token (expires_at);
CREATE INDEX link_environment ON link (environment);
CREATE INDEX link_account ON link (account_id);
CREATE INDEX link_expiry ON link (expires_at);
