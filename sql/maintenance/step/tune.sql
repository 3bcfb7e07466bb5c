-- Has autovacuum look at a partition sooner: index-only scans need its marks.
begin isolation level read committed;

set local statement_timeout = 0;
set local lock_timeout = :'lock_timeout';

alter table execlog.:"partition" set (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

commit;
