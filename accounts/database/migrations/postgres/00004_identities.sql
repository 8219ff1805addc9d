-- +goose Up

-- An environment's id is its own: one that is made again under an old name has another.
ALTER TABLE environment ADD COLUMN id TEXT NOT NULL DEFAULT '';
UPDATE environment SET id = gen_random_uuid();
ALTER TABLE environment ALTER COLUMN id DROP DEFAULT, ADD UNIQUE (id);

-- The audit belongs to the environment's id. Entries up to a deletion belong to an earlier environment.
ALTER TABLE audit ADD COLUMN environment_id TEXT NOT NULL DEFAULT '';
UPDATE audit SET environment_id = e.id FROM environment e WHERE e.name = audit.environment AND NOT EXISTS
    (SELECT 1 FROM audit d WHERE d.action = 'environment.delete' AND d.subject = audit.environment AND d.id >= audit.id);
DROP INDEX audit_environment;
CREATE INDEX audit_environment ON audit (environment_id, id);
CREATE INDEX audit_environment_name ON audit (environment, id);

-- An account's id is unique in its environment.
ALTER TABLE credential DROP CONSTRAINT credential_account_id_fkey, DROP CONSTRAINT credential_pkey, ADD COLUMN environment TEXT;
UPDATE credential SET environment = a.environment FROM integrated_account a WHERE a.id = credential.account_id;
ALTER TABLE integrated_account DROP CONSTRAINT integrated_account_pkey;
ALTER TABLE credential ADD PRIMARY KEY (account_id, environment, field),
    ADD FOREIGN KEY (account_id, environment) REFERENCES integrated_account (id, environment) ON DELETE CASCADE;
