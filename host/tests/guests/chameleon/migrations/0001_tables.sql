CREATE TABLE applied (
    id TEXT PRIMARY KEY,
    colour TEXT NOT NULL,
    times BIGINT NOT NULL
);
