-- The beginning of each transaction of a maintainer: a fixed search_path, so that no function or operator of
-- another role is found by its name. Then the limits of the session are lifted.
begin isolation level read committed;

set local search_path = pg_catalog, pg_temp;
