-- +goose Up

-- What became of requests that their callers gave an idempotency key. A row is
-- entered before the request is sent; sealed is NULL until its result is known,
-- and run (relay_id, epoch) is that of the relay which sends it.
CREATE TABLE results (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    caller        TEXT   NOT NULL,
    key_hash      BYTEA  NOT NULL,
    relay_id      TEXT   NOT NULL,
    epoch         BIGINT NOT NULL,
    sealed        BYTEA,
    expires_at    BIGINT NOT NULL,
    UNIQUE (workspace_id, connection_id, caller, key_hash),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX results_expiry ON results (expires_at);

-- +goose Down
DROP TABLE results;
