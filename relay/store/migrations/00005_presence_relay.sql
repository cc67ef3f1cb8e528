-- +goose Up

-- No query needs it, and SQLite preferred it to presence_agent: asking for one
-- agent then read the rows of all that the relay holds.
DROP INDEX presence_relay;

-- +goose Down
CREATE INDEX presence_relay ON presence (relay_id, epoch);
