-- The version of a ticket that orders has applied, as far as its events say. A
-- row exists once the ticket was edited.
CREATE TABLE copies (
    ticket_id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
