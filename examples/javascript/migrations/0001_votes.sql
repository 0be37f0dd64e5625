CREATE TABLE votes (
    choice TEXT PRIMARY KEY,
    number BIGINT NOT NULL
);
