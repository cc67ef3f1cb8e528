-- +goose Up
CREATE TABLE connections (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id),
    name         TEXT   NOT NULL,
    name_key     TEXT   NOT NULL,
    -- NULL in cloud mode. An agent in use can't be deleted.
    agent_id     TEXT,
    -- All that the user described, as JSON, but for the secrets' values.
    spec         TEXT   NOT NULL,
    secret_names TEXT   NOT NULL,
    secrets      BYTEA,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    updated_by   TEXT   NOT NULL,
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id)
);
CREATE INDEX connections_list ON connections (workspace_id, name_key, id);
CREATE INDEX connections_agent ON connections (workspace_id, agent_id);

-- At most one sign-in is kept for a connection.
CREATE TABLE sessions (
    connection_id TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    sealed        BYTEA  NOT NULL,
    updated_at    BIGINT NOT NULL,
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_connection ON sessions (workspace_id, connection_id);

CREATE TABLE tests (
    id            TEXT             NOT NULL PRIMARY KEY,
    workspace_id  TEXT             NOT NULL,
    connection_id TEXT             NOT NULL,
    at            BIGINT           NOT NULL,
    ok            BIGINT           NOT NULL,
    latency_ms    DOUBLE PRECISION NOT NULL,
    failed_step   TEXT             NOT NULL,
    message       TEXT             NOT NULL,
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX tests_list ON tests (workspace_id, connection_id, id);

-- +goose Down
DROP TABLE tests;
DROP TABLE sessions;
DROP TABLE connections;
