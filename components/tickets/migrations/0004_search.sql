-- The search. title_key is now a space and the folded title: without
-- differences of case and of Unicode normalization. A title_key without the
-- space is of an older version, and its ticket is not in the two tables below.
CREATE INDEX tickets_to_index ON tickets (id) WHERE title_key < ' ' OR title_key >= '!';

-- The words of the titles. A long word is stored as several overlapping ones.
CREATE TABLE title_words (
    word TEXT NOT NULL,
    ticket BLOB NOT NULL
);

CREATE UNIQUE INDEX title_words_once ON title_words (word, ticket);

-- The first letters after each position of a word, so that a search finds
-- words by any part of them.
CREATE TABLE word_parts (
    part TEXT NOT NULL,
    word TEXT NOT NULL
);

CREATE UNIQUE INDEX word_parts_once ON word_parts (part, word);

-- The one row says when the work on tickets of older versions went on last.
CREATE TABLE title_indexing (
    id BIGINT NOT NULL PRIMARY KEY,
    worked_ms BIGINT NOT NULL
);

INSERT INTO title_indexing (id, worked_ms) VALUES (1, 0);
