CREATE TABLE store_components (
    component TEXT PRIMARY KEY, role TEXT NOT NULL UNIQUE, password TEXT NOT NULL, secret TEXT NOT NULL);

CREATE TABLE store_migrations (
    component TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (component, name));

CREATE TABLE store_outbox (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, component TEXT NOT NULL, id TEXT NOT NULL,
    subject TEXT NOT NULL, source TEXT NOT NULL, time_ms BIGINT NOT NULL, traceparent TEXT, payload BYTEA NOT NULL);
CREATE INDEX store_outbox_component ON store_outbox (component, sequence);

CREATE TABLE store_inbox (
    component TEXT NOT NULL, event_id TEXT NOT NULL, at_ms BIGINT NOT NULL, PRIMARY KEY (component, event_id));
CREATE INDEX store_inbox_age ON store_inbox (component, at_ms);

CREATE TABLE store_timers (
    generation BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, component TEXT NOT NULL, key TEXT NOT NULL,
    due_ms BIGINT NOT NULL, payload BYTEA NOT NULL, attempt BIGINT NOT NULL, traceparent TEXT,
    UNIQUE (component, key));
CREATE INDEX store_timers_due ON store_timers (component, due_ms);

-- The component of the session.
CREATE FUNCTION store_own() RETURNS TEXT LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE found TEXT;
BEGIN
    SELECT c.component INTO found FROM ticketing_host.store_components c
    WHERE c.role OPERATOR(pg_catalog.=) session_user::pg_catalog.text;
    IF found IS NULL THEN RAISE insufficient_privilege; END IF;
    RETURN found;
END $$;

-- The component of the session, if the caller knows its secret.
CREATE FUNCTION store_caller(given TEXT) RETURNS TEXT LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE found TEXT;
BEGIN
    SELECT c.component INTO found FROM ticketing_host.store_components c
    WHERE c.role OPERATOR(pg_catalog.=) session_user::pg_catalog.text AND c.secret OPERATOR(pg_catalog.=) given;
    IF found IS NULL THEN RAISE insufficient_privilege; END IF;
    RETURN found;
END $$;

-- Claims an event. False if it was applied before.
CREATE FUNCTION store_apply(event TEXT, at BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ticketing_host.store_inbox (component, event_id, at_ms)
    VALUES (ticketing_host.store_own(), event, at) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Claims an attempt of a timer. False if the timer was replaced, cancelled or postponed.
CREATE FUNCTION store_fire(timer TEXT, of_generation BIGINT, of_attempt BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql
    SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_own();
BEGIN
    DELETE FROM ticketing_host.store_timers t
    WHERE t.component OPERATOR(pg_catalog.=) caller AND t.key OPERATOR(pg_catalog.=) timer
    AND t.generation OPERATOR(pg_catalog.=) of_generation AND t.attempt OPERATOR(pg_catalog.=) of_attempt;
    RETURN FOUND;
END $$;

-- Adds the events of a transaction to the outbox, and returns their sequence numbers and that of the last event
-- before them.
CREATE FUNCTION store_append(
    given TEXT, ids TEXT[], subjects TEXT[], sources TEXT[], times_ms BIGINT[], traceparents TEXT[],
    payloads BYTEA[], OUT after BIGINT, OUT sequences BIGINT[]) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_caller(given);
BEGIN
    after := (
        SELECT o.sequence FROM ticketing_host.store_outbox o WHERE o.component OPERATOR(pg_catalog.=) caller
        ORDER BY o.sequence DESC LIMIT 1);
    WITH appended AS (
        INSERT INTO ticketing_host.store_outbox (component, id, subject, source, time_ms, traceparent, payload)
        SELECT caller, e.id, e.subject, e.source, e.time_ms, e.traceparent, e.payload
        FROM unnest(ids, subjects, sources, times_ms, traceparents, payloads)
            WITH ORDINALITY AS e (id, subject, source, time_ms, traceparent, payload, place)
        ORDER BY e.place
        RETURNING sequence)
    SELECT pg_catalog.array_agg(a.sequence ORDER BY a.sequence) INTO sequences FROM appended a;
END $$;

-- Sets a timer in place of one with the same key.
CREATE FUNCTION store_schedule(given TEXT, timer TEXT, due BIGINT, payload BYTEA, traceparent TEXT)
    RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_caller(given);
BEGIN
    DELETE FROM ticketing_host.store_timers t
    WHERE t.component OPERATOR(pg_catalog.=) caller AND t.key OPERATOR(pg_catalog.=) timer;
    INSERT INTO ticketing_host.store_timers (component, key, due_ms, payload, attempt, traceparent)
    VALUES (caller, timer, due, payload, 1, traceparent);
    RETURN true;
END $$;

-- Removes a timer. False if there was none.
CREATE FUNCTION store_cancel_timer(given TEXT, timer TEXT) RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_caller(given);
BEGIN
    DELETE FROM ticketing_host.store_timers t
    WHERE t.component OPERATOR(pg_catalog.=) caller AND t.key OPERATOR(pg_catalog.=) timer;
    RETURN FOUND;
END $$;

-- The digest under which a migration was applied. Null if it was not.
CREATE FUNCTION store_migration(given TEXT, migration TEXT) RETURNS TEXT LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_caller(given);
BEGIN
    RETURN (
        SELECT m.digest FROM ticketing_host.store_migrations m
        WHERE m.component OPERATOR(pg_catalog.=) caller AND m.name OPERATOR(pg_catalog.=) migration);
END $$;

-- Records that a migration was applied.
CREATE FUNCTION store_note_migration(given TEXT, migration TEXT, of_digest TEXT, at BIGINT)
    RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ticketing_host.store_migrations (component, name, digest, at_ms)
    VALUES (ticketing_host.store_caller(given), migration, of_digest, at);
    RETURN true;
END $$;
