-- The same for a transaction whose statements all see the same rows.
begin isolation level repeatable read;

set local search_path = pg_catalog, pg_temp;

set local timezone = 'UTC';

set local datestyle = 'ISO, YMD';

set local extra_float_digits = 1;
