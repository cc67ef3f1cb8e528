-- +goose Up
CREATE TABLE agents (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id),
    name         TEXT   NOT NULL,
    name_key     TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    updated_by   TEXT   NOT NULL,
    UNIQUE (workspace_id, id)
);
CREATE INDEX agents_list ON agents (workspace_id, name_key, id);

CREATE TABLE instances (
    id              TEXT   NOT NULL PRIMARY KEY,
    workspace_id    TEXT   NOT NULL,
    agent_id        TEXT   NOT NULL,
    public_key      BYTEA  NOT NULL,
    hostname        TEXT   NOT NULL,
    os              TEXT   NOT NULL,
    arch            TEXT   NOT NULL,
    agent_version   TEXT   NOT NULL,
    enrolled_at     BIGINT NOT NULL,
    connected_at    BIGINT,
    last_seen_at    BIGINT,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX instances_agent ON instances (workspace_id, agent_id, id);

CREATE TABLE enrolment_codes (
    hash         BYTEA  NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL,
    agent_id     TEXT   NOT NULL,
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    used_by      TEXT   NOT NULL,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX enrolment_codes_agent ON enrolment_codes (workspace_id, agent_id);
CREATE INDEX enrolment_codes_expiry ON enrolment_codes (expires_at);

-- Who came online and went offline, and why.
CREATE TABLE agent_history (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL,
    agent_id     TEXT   NOT NULL,
    instance_id  TEXT   NOT NULL,
    hostname     TEXT   NOT NULL,
    online       BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    reason       TEXT   NOT NULL,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX agent_history_list ON agent_history (workspace_id, agent_id, id);

-- +goose Down
DROP TABLE agent_history;
DROP TABLE enrolment_codes;
DROP TABLE instances;
DROP TABLE agents;
