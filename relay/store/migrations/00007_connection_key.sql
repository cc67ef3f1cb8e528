-- +goose Up

-- What files and programs know a connection by; NULL: it has no key.
ALTER TABLE connections ADD COLUMN external_key TEXT;
CREATE UNIQUE INDEX connections_key ON connections (workspace_id, external_key);

-- +goose Down
DROP INDEX connections_key;
ALTER TABLE connections DROP COLUMN external_key;
