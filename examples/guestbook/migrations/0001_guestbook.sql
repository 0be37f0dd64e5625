CREATE TABLE entries (
    id TEXT PRIMARY KEY,
    guest TEXT NOT NULL,
    message TEXT NOT NULL,
    written_ms BIGINT NOT NULL
);

CREATE INDEX entries_by_time ON entries (written_ms);

-- How often each guest has signed. The events fill it.
CREATE TABLE guests (
    guest TEXT PRIMARY KEY,
    signed BIGINT NOT NULL
);
