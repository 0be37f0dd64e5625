-- 1 if the order that holds the ticket is complete, and 0 if it is not. Null
-- if no order holds the ticket, or if the ticket was reserved before this
-- column existed. In the second case `orders` is asked.
ALTER TABLE tickets ADD COLUMN sold BIGINT;

-- When `orders` was asked about the order that holds the ticket.
ALTER TABLE tickets ADD COLUMN held_asked_ms BIGINT;

-- The withdrawal that `orders` has not decided yet.
ALTER TABLE tickets ADD COLUMN withdrawal_id TEXT;

CREATE INDEX tickets_by_seller ON tickets (user_id, id);

-- Tickets that their sellers have withdrawn. Orders of them may still be on
-- their way here.
CREATE TABLE withdrawn_tickets (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    user_id TEXT NOT NULL
);
