-- What the rollups of a strategy add up to, for a ranking.
sum(ok + error + timeout + "limit" + other) as runs,
sum(error + timeout + "limit" + other) as failures,
sum(failed_weight) as failed_weight,
sum(failed_weight + other_weight) as not_ok_weight,
sum(ok_weight + other_weight) as other_weight,
sum(duration_weighed_ms) as duration_ms,
min(duration_min_ms) as duration_min_ms,
max(duration_max_ms) as duration_max_ms,
sum(durations) as durations,
max(last_run) as last_run
