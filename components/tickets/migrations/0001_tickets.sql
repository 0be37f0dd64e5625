-- title_key is the title in lower case, for searching.
CREATE TABLE tickets (
    id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    user_id TEXT NOT NULL,
    order_id TEXT
);

CREATE INDEX tickets_for_sale ON tickets (id) WHERE order_id IS NULL;

-- Orders that are over. One of them reserves nothing any more, in whatever
-- order its events arrive.
CREATE TABLE released_orders (
    order_id TEXT NOT NULL PRIMARY KEY,
    released_ms BIGINT NOT NULL
);

CREATE INDEX released_orders_by_age ON released_orders (released_ms);
