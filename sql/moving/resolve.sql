-- Which table has this name, as SQL reads it: with the session's search_path, quoted or not?
-- $1 name text
-- Columns: id bigint
-- Index: none
select pg_catalog.to_regclass($1::text)::oid::bigint as id
