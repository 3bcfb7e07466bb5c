-- A page reads from one snapshot, in a transaction that can't write, each statement with a time limit.
-- Without JIT, because compiling takes longer than reading, and without generic plans, which would read every
-- partition. Names are looked up in pg_catalog only, because the role may be an administrator.
begin transaction isolation level repeatable read read only;

set local search_path = pg_catalog, pg_temp;

set local statement_timeout = :'timeout';

set local jit = off;

set local plan_cache_mode = force_custom_plan;
