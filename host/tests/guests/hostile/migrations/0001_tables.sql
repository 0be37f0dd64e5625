-- How often an event or timer took effect.
CREATE TABLE applied (
    id TEXT PRIMARY KEY,
    times BIGINT NOT NULL
);

-- What to do with an event or timer, whatever its payload says.
CREATE TABLE moods (
    id TEXT PRIMARY KEY,
    mood TEXT NOT NULL
);

-- What escape attempts must leave as it is.
CREATE TABLE treasure (
    id TEXT PRIMARY KEY,
    note TEXT NOT NULL CHECK (length(note) < 2000000)
);
INSERT INTO treasure (id, note) VALUES ('crown', 'gold');
