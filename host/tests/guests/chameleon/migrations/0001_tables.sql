CREATE TABLE applied (
    id TEXT PRIMARY KEY,
    colour TEXT NOT NULL,
    times BIGINT NOT NULL,
    begun_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL
);
