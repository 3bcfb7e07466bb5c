-- What each transaction of a maintainer begins with: it names what it means, and nobody else's function or
-- operator of such a name is taken for it. Then the limits of the session are lifted.
begin isolation level read committed;

set local search_path = pg_catalog, pg_temp;
