CREATE TABLE votes (
    id TEXT PRIMARY KEY,
    choice TEXT NOT NULL,
    cast_ms BIGINT NOT NULL,
    heard BIGINT NOT NULL DEFAULT 0
);
