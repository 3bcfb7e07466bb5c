-- Leaves the other processors to those who store, and has each look at the statistics see the present ones.
set local max_parallel_workers_per_gather = 0;

set local stats_fetch_consistency = 'none';
