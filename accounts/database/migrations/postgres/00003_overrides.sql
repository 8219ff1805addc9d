-- +goose Up

ALTER TABLE environment ADD COLUMN overrides TEXT NOT NULL DEFAULT '{}';
ALTER TABLE integrated_account ADD COLUMN overrides TEXT NOT NULL DEFAULT '{}';
