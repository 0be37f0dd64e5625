CREATE TABLE results (
    id TEXT PRIMARY KEY,
    result TEXT NOT NULL
);
