-- +goose Up

-- What an agent's site has said of a pause of the machine; NULL: it is not
-- paused, or goes on only when somebody says so.
ALTER TABLE instances ADD COLUMN paused_since BIGINT;
ALTER TABLE instances ADD COLUMN paused_until BIGINT;
ALTER TABLE instances ADD COLUMN pause_reason TEXT NOT NULL DEFAULT '';

-- Why a machine was offline, by what it found out itself, beside the relay's own
-- reason; report is the id of its report, which may come more than once.
ALTER TABLE agent_history ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE agent_history ADD COLUMN detail TEXT NOT NULL DEFAULT '';
ALTER TABLE agent_history ADD COLUMN report TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE agent_history DROP COLUMN report;
ALTER TABLE agent_history DROP COLUMN detail;
ALTER TABLE agent_history DROP COLUMN cause;
ALTER TABLE instances DROP COLUMN pause_reason;
ALTER TABLE instances DROP COLUMN paused_until;
ALTER TABLE instances DROP COLUMN paused_since;
