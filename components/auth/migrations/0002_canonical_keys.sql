-- email_key is now the canonical form of the address: the local part without
-- differences of case and of Unicode composition, and the domain in ASCII.
-- key_form is 0 for a key of an older version, 1 for a canonical key, and 2 for
-- an account whose address another account has too. Such an account keeps its
-- old key.
ALTER TABLE users ADD COLUMN key_form BIGINT NOT NULL DEFAULT 0;

-- An old key in ASCII is canonical. The component converts the others.
UPDATE users SET key_form = 1
WHERE ltrim(email_key, 'abcdefghijklmnopqrstuvwxyz0123456789.@_+-!#$%&*/=?^{|}~') = '';

CREATE INDEX users_to_convert ON users (id) WHERE key_form = 0;
