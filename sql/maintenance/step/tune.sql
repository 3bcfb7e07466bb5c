-- Has autovacuum visit a partition sooner: index-only scans need its visibility map.
set local lock_timeout = :'lock_timeout';

alter table execlog.:"partition" set (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);
