-- Tickets that nobody can order any more, whatever events about them arrive.
CREATE TABLE withdrawn_tickets (
    ticket_id TEXT NOT NULL PRIMARY KEY
);
