-- +goose Up

-- Who signs a connection in now, and how its last sign-ins went. holder is ''
-- where nobody does; beat grows while a holder is at it. state is JSON.
CREATE TABLE sign_ins (
    connection_id TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    holder        TEXT   NOT NULL,
    beat          BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX sign_ins_connection ON sign_ins (workspace_id, connection_id);

-- When a session is over by the connection's own settings; NULL: never.
ALTER TABLE sessions ADD COLUMN ends_at BIGINT;
CREATE INDEX sessions_end ON sessions (ends_at);

-- +goose Down
DROP INDEX sessions_end;
ALTER TABLE sessions DROP COLUMN ends_at;
DROP TABLE sign_ins;
