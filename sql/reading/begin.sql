-- A viewer's questions are answered from one snapshot, in a transaction that can't write, and none takes
-- longer than it may. Compiling takes longer than reading; and a plan for any parameters would look into
-- every partition. Names are looked up in pg_catalog alone, for who serves may be an administrator.
begin transaction isolation level repeatable read read only;

set local search_path = pg_catalog, pg_temp;

set local statement_timeout = :'timeout';

set local jit = off;

set local plan_cache_mode = force_custom_plan;
