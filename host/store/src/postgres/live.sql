-- The last events of each component for its listeners. The last row of a component is always there. The numbers of a
-- component have no gaps.
CREATE TABLE store_live (
    component TEXT NOT NULL, sequence BIGINT NOT NULL, at_ms BIGINT NOT NULL, total_bytes BIGINT NOT NULL,
    channel TEXT NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (component, sequence));

-- Writes the live events of a transaction at the end of the log, and deletes the events that the log keeps no longer.
CREATE FUNCTION store_send_live(
    given TEXT, at BIGINT, channels TEXT[], names TEXT[], texts TEXT[], sizes BIGINT[],
    most_events BIGINT, most_bytes BIGINT, since BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    caller TEXT := ticketing_host.store_caller(given);
    last_sequence BIGINT;
    last_total BIGINT;
BEGIN
    SELECT l.sequence, l.total_bytes INTO last_sequence, last_total FROM ticketing_host.store_live l
    WHERE l.component OPERATOR(pg_catalog.=) caller ORDER BY l.sequence DESC LIMIT 1;
    last_sequence := coalesce(last_sequence, 0);
    last_total := coalesce(last_total, 0);
    FOR place IN 1 .. pg_catalog.array_length(channels, 1) LOOP
        last_sequence := last_sequence OPERATOR(pg_catalog.+) 1::pg_catalog.int8;
        last_total := last_total OPERATOR(pg_catalog.+) sizes[place];
        INSERT INTO ticketing_host.store_live (component, sequence, at_ms, total_bytes, channel, name, data)
        VALUES (caller, last_sequence, at, last_total, channels[place], names[place], texts[place]);
    END LOOP;
    DELETE FROM ticketing_host.store_live d
    WHERE d.component OPERATOR(pg_catalog.=) caller AND d.sequence OPERATOR(pg_catalog.<) (
        SELECT k.sequence FROM ticketing_host.store_live k
        WHERE k.component OPERATOR(pg_catalog.=) caller AND (
            k.sequence OPERATOR(pg_catalog.=) last_sequence
            OR (k.sequence OPERATOR(pg_catalog.>) (last_sequence OPERATOR(pg_catalog.-) most_events)
                AND k.total_bytes OPERATOR(pg_catalog.>) (last_total OPERATOR(pg_catalog.-) most_bytes)
                AND k.at_ms OPERATOR(pg_catalog.>=) since))
        ORDER BY k.sequence LIMIT 1);
    RETURN true;
END $$;
