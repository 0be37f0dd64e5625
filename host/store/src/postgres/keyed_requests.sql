CREATE TABLE store_requests (
    component TEXT NOT NULL, request TEXT NOT NULL, fingerprint TEXT NOT NULL, holder TEXT NOT NULL,
    attempt TEXT NOT NULL, at_ms BIGINT NOT NULL, ends_ms BIGINT NOT NULL, answer BYTEA,
    CONSTRAINT store_requests_key PRIMARY KEY (component, request));
CREATE INDEX store_requests_holder ON store_requests (component, holder, at_ms);
CREATE INDEX store_requests_age ON store_requests (component, at_ms);

-- The number of requests of a holder, up to a limit, and one request.
CREATE FUNCTION store_find_request(
    of_request TEXT, of_holder TEXT, since BIGINT, most BIGINT,
    OUT held BIGINT, OUT of_print TEXT, OUT ends BIGINT, OUT kept BYTEA) LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_own();
BEGIN
    held := (
        SELECT pg_catalog.count(*) FROM (
            SELECT FROM ticketing_host.store_requests r
            WHERE r.component OPERATOR(pg_catalog.=) caller AND r.holder OPERATOR(pg_catalog.=) of_holder
            AND r.at_ms OPERATOR(pg_catalog.>=) since LIMIT most) h);
    SELECT r.fingerprint, r.ends_ms, r.answer INTO of_print, ends, kept FROM ticketing_host.store_requests r
    WHERE r.component OPERATOR(pg_catalog.=) caller AND r.request OPERATOR(pg_catalog.=) of_request
    AND r.at_ms OPERATOR(pg_catalog.>=) since;
END $$;

-- Records a call with its answer, or its claim. False if the request belongs to another call that began since then.
CREATE FUNCTION store_record_request(
    of_request TEXT, of_print TEXT, of_holder TEXT, of_attempt TEXT, at BIGINT, ends BIGINT, since BIGINT, kept BYTEA)
    RETURNS BOOLEAN LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ticketing_host.store_requests AS r
        (component, request, fingerprint, holder, attempt, at_ms, ends_ms, answer)
    VALUES (ticketing_host.store_own(), of_request, of_print, of_holder, of_attempt, at, ends, kept)
    ON CONFLICT ON CONSTRAINT store_requests_key DO UPDATE
    SET fingerprint = of_print, holder = of_holder, attempt = of_attempt, at_ms = at, ends_ms = ends, answer = kept
    WHERE r.attempt OPERATOR(pg_catalog.=) of_attempt OR r.at_ms OPERATOR(pg_catalog.<) since;
    RETURN FOUND;
END $$;

-- Ends a call without an answer. False if it has no claim.
CREATE FUNCTION store_end_request(of_request TEXT, of_attempt TEXT) RETURNS BOOLEAN LANGUAGE plpgsql
    SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_own();
BEGIN
    UPDATE ticketing_host.store_requests r SET ends_ms = 0
    WHERE r.component OPERATOR(pg_catalog.=) caller AND r.request OPERATOR(pg_catalog.=) of_request
    AND r.attempt OPERATOR(pg_catalog.=) of_attempt;
    RETURN FOUND;
END $$;

-- Gives the key of a call back. False if it has no claim.
CREATE FUNCTION store_forget_request(of_request TEXT, of_attempt TEXT) RETURNS BOOLEAN LANGUAGE plpgsql
    SECURITY DEFINER AS $$
DECLARE caller TEXT := ticketing_host.store_own();
BEGIN
    DELETE FROM ticketing_host.store_requests r
    WHERE r.component OPERATOR(pg_catalog.=) caller AND r.request OPERATOR(pg_catalog.=) of_request
    AND r.attempt OPERATOR(pg_catalog.=) of_attempt;
    RETURN FOUND;
END $$;
