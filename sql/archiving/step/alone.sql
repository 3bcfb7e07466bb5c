-- Leaves the other processors to those who store.
set local max_parallel_workers_per_gather = 0;
