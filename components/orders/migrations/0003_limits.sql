-- When an order was cancelled. Orders that ended before have none.
ALTER TABLE orders ADD COLUMN ended_ms BIGINT;

-- The unpaid reservations of a buyer.
CREATE INDEX orders_unpaid ON orders (user_id, expires_ms) WHERE status IN ('created', 'awaiting:payment');

-- The reservations of a ticket that a buyer has let go.
CREATE INDEX orders_let_go ON orders (ticket_id, user_id) WHERE status = 'cancelled';
