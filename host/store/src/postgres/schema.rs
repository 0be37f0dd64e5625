//! The host's own tables for all components, and the functions by which a
//! transaction of a component reaches them.
//!
//! The tables belong to the host's role, and a component's role has no right
//! to them. What the host does inside a component's transaction has to be on
//! that transaction's connection, so it calls functions that run with the
//! host's rights. They know the component by the role that has logged in. SQL of
//! the component could call them if it got past the gate. So those that reach
//! others, by an event or a timer, want a secret that is only ever a parameter.
//! Those that note that something is done want none, and are part of what a
//! transaction begins with: whoever calls them misses what was its own.
//!
//! A step is never changed: hosts of the version before call its functions
//! while the next version starts.
//!
//! Functions that every transaction calls name everything with its schema,
//! operators as well, in place of a search path of their own: setting that and
//! taking it back is most of what such a call costs.

pub(super) const STEPS: &[&str] = &[
    "
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

    CREATE FUNCTION store_caller(given TEXT) RETURNS TEXT LANGUAGE plpgsql STABLE SECURITY DEFINER
        SET search_path = ticketing_host, pg_temp AS $$
    DECLARE found TEXT;
    BEGIN
        SELECT component INTO found FROM store_components WHERE role = session_user AND secret = given;
        IF found IS NULL THEN RAISE insufficient_privilege; END IF;
        RETURN found;
    END $$;

    CREATE FUNCTION store_publish(
        given TEXT, id TEXT, subject TEXT, source TEXT, time_ms BIGINT, traceparent TEXT, payload BYTEA)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        INSERT INTO store_outbox (component, id, subject, source, time_ms, traceparent, payload)
        VALUES (caller, id, subject, source, time_ms, traceparent, payload);
        RETURN true;
    END $$;

    CREATE FUNCTION store_schedule(given TEXT, timer TEXT, due BIGINT, payload BYTEA, traceparent TEXT)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        DELETE FROM store_timers WHERE component = caller AND key = timer;
        INSERT INTO store_timers (component, key, due_ms, payload, attempt, traceparent)
        VALUES (caller, timer, due, payload, 1, traceparent);
        RETURN true;
    END $$;

    CREATE FUNCTION store_cancel_timer(given TEXT, timer TEXT) RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        DELETE FROM store_timers WHERE component = caller AND key = timer;
        RETURN FOUND;
    END $$;

    CREATE FUNCTION store_take_timer(given TEXT, timer TEXT, of_generation BIGINT, of_attempt BIGINT)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        DELETE FROM store_timers
        WHERE component = caller AND key = timer AND generation = of_generation AND attempt = of_attempt;
        RETURN FOUND;
    END $$;

    CREATE FUNCTION store_put_off_timer(
        given TEXT, timer TEXT, of_generation BIGINT, of_attempt BIGINT, due BIGINT)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        UPDATE store_timers SET due_ms = due, attempt = attempt + 1
        WHERE component = caller AND key = timer AND generation = of_generation AND attempt = of_attempt;
        RETURN true;
    END $$;

    CREATE FUNCTION store_mark_applied(given TEXT, event TEXT, at BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        INSERT INTO store_inbox (component, event_id, at_ms) VALUES (caller, event, at) ON CONFLICT DO NOTHING;
        RETURN FOUND;
    END $$;

    CREATE FUNCTION store_migration(given TEXT, migration TEXT) RETURNS TEXT LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        RETURN (SELECT digest FROM store_migrations WHERE component = caller AND name = migration);
    END $$;

    CREATE FUNCTION store_note_migration(given TEXT, migration TEXT, of_digest TEXT, at BIGINT)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER SET search_path = ticketing_host, pg_temp AS $$
    DECLARE caller TEXT := store_caller(given);
    BEGIN
        INSERT INTO store_migrations (component, name, digest, at_ms) VALUES (caller, migration, of_digest, at);
        RETURN true;
    END $$;
",
    "
    CREATE OR REPLACE FUNCTION store_caller(given TEXT) RETURNS TEXT LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
    DECLARE found TEXT;
    BEGIN
        SELECT c.component INTO found FROM ticketing_host.store_components c
        WHERE c.role OPERATOR(pg_catalog.=) session_user::pg_catalog.text AND c.secret OPERATOR(pg_catalog.=) given;
        IF found IS NULL THEN RAISE insufficient_privilege; END IF;
        RETURN found;
    END $$;

    CREATE OR REPLACE FUNCTION store_publish(
        given TEXT, id TEXT, subject TEXT, source TEXT, time_ms BIGINT, traceparent TEXT, payload BYTEA)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO ticketing_host.store_outbox (component, id, subject, source, time_ms, traceparent, payload)
        VALUES (ticketing_host.store_caller(given), id, subject, source, time_ms, traceparent, payload);
        RETURN true;
    END $$;

    CREATE OR REPLACE FUNCTION store_schedule(given TEXT, timer TEXT, due BIGINT, payload BYTEA, traceparent TEXT)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE caller TEXT := ticketing_host.store_caller(given);
    BEGIN
        DELETE FROM ticketing_host.store_timers t
        WHERE t.component OPERATOR(pg_catalog.=) caller AND t.key OPERATOR(pg_catalog.=) timer;
        INSERT INTO ticketing_host.store_timers (component, key, due_ms, payload, attempt, traceparent)
        VALUES (caller, timer, due, payload, 1, traceparent);
        RETURN true;
    END $$;

    CREATE OR REPLACE FUNCTION store_cancel_timer(given TEXT, timer TEXT) RETURNS BOOLEAN LANGUAGE plpgsql
        SECURITY DEFINER AS $$
    DECLARE caller TEXT := ticketing_host.store_caller(given);
    BEGIN
        DELETE FROM ticketing_host.store_timers t
        WHERE t.component OPERATOR(pg_catalog.=) caller AND t.key OPERATOR(pg_catalog.=) timer;
        RETURN FOUND;
    END $$;

    CREATE OR REPLACE FUNCTION store_take_timer(given TEXT, timer TEXT, of_generation BIGINT, of_attempt BIGINT)
        RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE caller TEXT := ticketing_host.store_caller(given);
    BEGIN
        DELETE FROM ticketing_host.store_timers t
        WHERE t.component OPERATOR(pg_catalog.=) caller AND t.key OPERATOR(pg_catalog.=) timer
        AND t.generation OPERATOR(pg_catalog.=) of_generation AND t.attempt OPERATOR(pg_catalog.=) of_attempt;
        RETURN FOUND;
    END $$;

    CREATE OR REPLACE FUNCTION store_mark_applied(given TEXT, event TEXT, at BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql
        SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO ticketing_host.store_inbox (component, event_id, at_ms)
        VALUES (ticketing_host.store_caller(given), event, at) ON CONFLICT DO NOTHING;
        RETURN FOUND;
    END $$;
",
    "
    CREATE FUNCTION store_own() RETURNS TEXT LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
    DECLARE found TEXT;
    BEGIN
        SELECT c.component INTO found FROM ticketing_host.store_components c
        WHERE c.role OPERATOR(pg_catalog.=) session_user::pg_catalog.text;
        IF found IS NULL THEN RAISE insufficient_privilege; END IF;
        RETURN found;
    END $$;

    CREATE FUNCTION store_apply(event TEXT, at BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO ticketing_host.store_inbox (component, event_id, at_ms)
        VALUES (ticketing_host.store_own(), event, at) ON CONFLICT DO NOTHING;
        RETURN FOUND;
    END $$;

    CREATE FUNCTION store_fire(timer TEXT, of_generation BIGINT, of_attempt BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql
        SECURITY DEFINER AS $$
    DECLARE caller TEXT := ticketing_host.store_own();
    BEGIN
        DELETE FROM ticketing_host.store_timers t
        WHERE t.component OPERATOR(pg_catalog.=) caller AND t.key OPERATOR(pg_catalog.=) timer
        AND t.generation OPERATOR(pg_catalog.=) of_generation AND t.attempt OPERATOR(pg_catalog.=) of_attempt;
        RETURN FOUND;
    END $$;

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
",
];
