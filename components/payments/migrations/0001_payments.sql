-- Copies of the orders. One whose end became known before its beginning has
-- no more than its id and status.
CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('created', 'complete', 'cancelled')),
    user_id TEXT,
    expires_ms BIGINT,
    amount BIGINT,
    currency TEXT
);

-- Attempts to charge an order. token is kept until the provider has answered.
CREATE TABLE payments (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    order_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN ('authorizing', 'authorized', 'declined', 'failed', 'captured', 'voided', 'refunded')
    ),
    token TEXT,
    provider_id TEXT,
    amount BIGINT NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL
);

CREATE UNIQUE INDEX payments_attempt ON payments (order_id, attempt);

-- An order is charged by one attempt at a time, and by none after one that
-- succeeded.
CREATE UNIQUE INDEX payments_live ON payments (order_id)
    WHERE state IN ('authorizing', 'authorized', 'captured');
