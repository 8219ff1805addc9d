-- +goose Up
-- Times are microseconds since 1970, UTC; 0 is none.

CREATE TABLE environment (
    name       TEXT PRIMARY KEY,
    label      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE integrated_account (
    id          TEXT PRIMARY KEY,
    environment TEXT NOT NULL REFERENCES environment (name),
    integration TEXT NOT NULL,
    label       TEXT NOT NULL,
    tenant_id   TEXT NOT NULL,
    status      TEXT NOT NULL,
    last_error  TEXT NOT NULL,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (id, environment)
) STRICT;
CREATE INDEX integrated_account_page ON integrated_account (environment, created_at, id);
CREATE INDEX integrated_account_tenant ON integrated_account (environment, tenant_id, created_at, id);

CREATE TABLE credential (
    account_id TEXT NOT NULL REFERENCES integrated_account (id) ON DELETE CASCADE,
    field      TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    set_at     INTEGER NOT NULL,
    PRIMARY KEY (account_id, field)
) STRICT, WITHOUT ROWID;

-- An account's token is of the account's own environment.
CREATE TABLE api_token (
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
    FOREIGN KEY (account_id, environment) REFERENCES integrated_account (id, environment) ON DELETE CASCADE
) STRICT;
CREATE INDEX api_token_page ON api_token (environment, created_at, id);
CREATE INDEX api_token_account ON api_token (account_id);
CREATE INDEX api_token_expiry ON api_token (expires_at);

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    environment TEXT NOT NULL,
    actor       TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    before_json TEXT NOT NULL,
    after_json  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_environment ON audit (environment, id);
CREATE INDEX audit_subject ON audit (subject, id);

-- The number of the newest change. Its one row is every writer's first lock, so that
-- changes are committed in the order of their numbers.
CREATE TABLE revision (n INTEGER NOT NULL) STRICT;
INSERT INTO revision (n) VALUES (0);

CREATE TABLE change (
    n    INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id   TEXT NOT NULL
) STRICT;
CREATE INDEX change_n ON change (n);
