-- The seller of an order. Orders that were made before have none.
ALTER TABLE orders ADD COLUMN seller_id TEXT;
