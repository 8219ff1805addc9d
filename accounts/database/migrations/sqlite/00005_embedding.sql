-- +goose Up

-- How an environment shows itself on link pages. allowed_origins is a JSON array.
ALTER TABLE environment ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
ALTER TABLE environment ADD COLUMN logo TEXT NOT NULL DEFAULT '';
ALTER TABLE environment ADD COLUMN allowed_origins TEXT NOT NULL DEFAULT '[]';

-- A link without an integration lets the customer choose one that maps the model; '' is any. sealed holds
-- values that the customer is not asked for; '' is none.
ALTER TABLE link ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE link ADD COLUMN keep_context INTEGER NOT NULL DEFAULT 0;
ALTER TABLE link ADD COLUMN sealed TEXT NOT NULL DEFAULT '';
