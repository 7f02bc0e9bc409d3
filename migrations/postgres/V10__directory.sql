-- Paired with migrations/sqlite. Its index is not made here: an entry of PostgreSQL's may not be longer than 2,704 bytes.
-- Not STRICT, as json_each.
CREATE FUNCTION instr(text TEXT, part TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE
    AS 'SELECT CAST(strpos(text, part) AS BIGINT)';
