-- Copies of the tickets, as far as their events have told.
CREATE TABLE tickets (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    title TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    user_id TEXT NOT NULL
);

-- What is bought is kept as it was when it was reserved. pending_attempt is
-- the payment that is being authorized, settled_attempt the last one that was
-- refused.
CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('created', 'awaiting:payment', 'complete', 'cancelled')),
    expires_ms BIGINT NOT NULL,
    pending_attempt BIGINT NOT NULL DEFAULT 0,
    settled_attempt BIGINT NOT NULL DEFAULT 0,
    ticket_id TEXT NOT NULL,
    ticket_version BIGINT NOT NULL,
    title TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL
);

-- A ticket is held, or was bought, by one order at a time: this is what says
-- so, whoever else may ask first.
CREATE UNIQUE INDEX orders_live ON orders (ticket_id) WHERE status <> 'cancelled';

CREATE INDEX orders_by_user ON orders (user_id, id);
