-- +goose Up

-- How each connection does, as its scheduled pings find it, and when the next
-- is due (NULL: not before somebody changes the connection). lease names who
-- pings it until lease_until, so that of several relays one does. memory is
-- what package health needs to know next time, as JSON.
CREATE TABLE health (
    connection_id TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    next_at       BIGINT,
    lease         TEXT   NOT NULL,
    lease_until   BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    since         BIGINT,
    checked_at    BIGINT,
    message       TEXT   NOT NULL,
    memory        TEXT   NOT NULL,
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX health_due ON health (next_at);
CREATE INDEX health_list ON health (workspace_id, connection_id);

-- What each ping found, for a week.
CREATE TABLE health_results (
    connection_id TEXT             NOT NULL,
    at            BIGINT           NOT NULL,
    workspace_id  TEXT             NOT NULL,
    result        TEXT             NOT NULL,
    latency_ms    DOUBLE PRECISION NOT NULL,
    message       TEXT             NOT NULL,
    PRIMARY KEY (connection_id, at),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);

-- When the state changed, and what else had changed since it last worked: JSON.
CREATE TABLE health_changes (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    was           TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    message       TEXT   NOT NULL,
    differences   TEXT   NOT NULL,
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX health_changes_list ON health_changes (workspace_id, connection_id, id);

-- What is to be told to whom, written with the change itself: a webhook, or one
-- e-mail address. next_at is NULL once it was delivered or given up.
CREATE TABLE notices (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    kind          TEXT   NOT NULL,
    recipient     TEXT   NOT NULL,
    body          TEXT   NOT NULL,
    attempts      BIGINT NOT NULL,
    next_at       BIGINT,
    lease         TEXT   NOT NULL,
    lease_until   BIGINT NOT NULL,
    delivered_at  BIGINT,
    failure       TEXT   NOT NULL,
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX notices_due ON notices (next_at);
CREATE INDEX notices_list ON notices (workspace_id, connection_id, id);

-- What was done to one thing.
CREATE INDEX audit_object ON audit (workspace_id, object_id, id);

-- +goose Down
DROP INDEX audit_object;
DROP TABLE notices;
DROP TABLE health_changes;
DROP TABLE health_results;
DROP TABLE health;
