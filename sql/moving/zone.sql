-- Does the server know this time zone? An error says that it does not.
-- $1 zone text
-- Columns: here timestamp
-- Index: none
select pg_catalog.now() at time zone $1::text as here
