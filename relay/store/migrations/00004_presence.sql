-- +goose Up

-- The relays that share this database. epoch counts a relay's runs; beat grows
-- while it runs, and is 0 once it has stopped in order.
CREATE TABLE relays (
    id         TEXT   NOT NULL PRIMARY KEY,
    epoch      BIGINT NOT NULL,
    beat       BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

-- Which relay holds tunnels of which instance. Each relay writes rows of its
-- own only; (epoch, counter) says which of two writes of one relay is the
-- later one, in whatever order they arrive. online is 1 while it does, 0 once
-- they are gone, and 2 where the relay was taken for dead while it did.
CREATE TABLE presence (
    instance_id  TEXT   NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    relay_id     TEXT   NOT NULL,
    workspace_id TEXT   NOT NULL,
    agent_id     TEXT   NOT NULL,
    epoch        BIGINT NOT NULL,
    counter      BIGINT NOT NULL,
    online       BIGINT NOT NULL,
    connected_at BIGINT NOT NULL,
    latency_us   BIGINT NOT NULL,
    PRIMARY KEY (instance_id, relay_id)
);
CREATE INDEX presence_agent ON presence (workspace_id, agent_id);
CREATE INDEX presence_relay ON presence (relay_id, epoch);

-- +goose Down
DROP TABLE presence;
DROP TABLE relays;
