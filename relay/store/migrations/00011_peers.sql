-- +goose Up

-- Where the other relays reach this one, as its run says; '' where it takes no
-- requests of theirs.
ALTER TABLE relays ADD COLUMN peer_address TEXT NOT NULL DEFAULT '';

-- The authority by whose certificates relays know each other: its key and its
-- own certificate, sealed. There is one; the first relay makes it.
CREATE TABLE peer_authority (
    id     BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    sealed BYTEA  NOT NULL
);

-- +goose Down
DROP TABLE peer_authority;
ALTER TABLE relays DROP COLUMN peer_address;
