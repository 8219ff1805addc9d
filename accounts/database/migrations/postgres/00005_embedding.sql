-- +goose Up

-- How an environment shows itself on link pages. allowed_origins is a JSON array.
ALTER TABLE environment ADD COLUMN display_name TEXT NOT NULL DEFAULT '', ADD COLUMN logo TEXT NOT NULL DEFAULT '',
    ADD COLUMN allowed_origins TEXT NOT NULL DEFAULT '[]';

-- A link without an integration lets the customer choose one that maps the model; '' is any. sealed holds
-- values that the customer is not asked for; '' is none.
ALTER TABLE link ADD COLUMN model TEXT NOT NULL DEFAULT '', ADD COLUMN keep_context BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN sealed TEXT NOT NULL DEFAULT '';
