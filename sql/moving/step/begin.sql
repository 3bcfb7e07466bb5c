-- Settings of a transaction that reads a table of another program: the texts of its keys, which ids are made of,
-- must not depend on who reads it. Nothing of the session's search_path is used: all names have a schema.
set local search_path = pg_catalog, pg_temp;

set local timezone = 'UTC';

set local datestyle = 'ISO, YMD';

set local intervalstyle = 'postgres';

set local bytea_output = 'hex';

set local extra_float_digits = 1;

set local standard_conforming_strings = on;

-- Compiling takes longer than a part does.
set local jit = off;
