-- +goose Up

-- NULL where there is no grant, 0 where it never runs out. Its tokens are credentials.
ALTER TABLE integrated_account ADD COLUMN grant_expires_at INTEGER;

CREATE TABLE link (
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
    FOREIGN KEY (account_id, environment) REFERENCES integrated_account (id, environment) ON DELETE CASCADE
) STRICT;
CREATE INDEX link_environment ON link (environment);
CREATE INDEX link_account ON link (account_id);
CREATE INDEX link_expiry ON link (expires_at);

CREATE TABLE consent (
    link_id TEXT PRIMARY KEY REFERENCES link (id) ON DELETE CASCADE,
    state   BLOB NOT NULL UNIQUE,
    sealed  TEXT NOT NULL,
    browser BLOB NOT NULL
) STRICT;

-- Who has the turn at what, among the processes that share this file.
CREATE TABLE lease (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
