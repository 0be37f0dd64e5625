-- email_key is the address in lower case: addresses are told apart without
-- regard to case.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX users_email_key ON users (email_key);
