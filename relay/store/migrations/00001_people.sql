-- Both engines run these files as they are. Times are microseconds since 1970
-- (UTC) in a BIGINT; sealed or hashed values are bytes (SQLite keeps a blob a
-- blob whatever the column is called).

-- +goose Up
CREATE TABLE workspaces (
    id         TEXT   NOT NULL PRIMARY KEY,
    slug       TEXT   NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id              TEXT   NOT NULL PRIMARY KEY,
    workspace_id    TEXT   NOT NULL REFERENCES workspaces (id),
    email           TEXT   NOT NULL,
    email_key       TEXT   NOT NULL UNIQUE,
    name            TEXT   NOT NULL,
    role            TEXT   NOT NULL,
    password_hash   TEXT   NOT NULL,
    -- Grows whenever all browser sessions of the user shall end.
    epoch           BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    disabled_at     BIGINT,
    last_sign_in_at BIGINT,
    UNIQUE (workspace_id, id)
);
CREATE INDEX users_list ON users (workspace_id, email_key);

CREATE TABLE sign_in_links (
    hash         BYTEA  NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    FOREIGN KEY (workspace_id, user_id) REFERENCES users (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX sign_in_links_user ON sign_in_links (workspace_id, user_id);
CREATE INDEX sign_in_links_expiry ON sign_in_links (expires_at);

CREATE TABLE api_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id),
    name         TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    hash         BYTEA  NOT NULL UNIQUE,
    -- The first characters, by which a person recognises a token.
    hint         TEXT   NOT NULL,
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_tokens_list ON api_tokens (workspace_id, id);

-- Of a browser, not of a workspace: the session names its user, who has one.
CREATE TABLE browser_sessions (
    token_hash TEXT   NOT NULL PRIMARY KEY,
    data       BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX browser_sessions_expiry ON browser_sessions (expires_at);

CREATE TABLE audit (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id),
    at           BIGINT NOT NULL,
    actor_kind   TEXT   NOT NULL,
    actor_id     TEXT   NOT NULL,
    actor_name   TEXT   NOT NULL,
    action       TEXT   NOT NULL,
    object_type  TEXT   NOT NULL,
    object_id    TEXT   NOT NULL,
    object_name  TEXT   NOT NULL,
    detail       TEXT   NOT NULL
);
CREATE INDEX audit_list ON audit (workspace_id, id);

-- +goose Down
DROP TABLE audit;
DROP TABLE browser_sessions;
DROP TABLE api_tokens;
DROP TABLE sign_in_links;
DROP TABLE users;
DROP TABLE workspaces;
