-- The columns of rollups that a breakdown adds up.
strategy_id as value,  -- if not by_realm_id, not by_strategy_version
realm_id as value,  -- if by_realm_id
strategy_version as value,  -- if by_strategy_version
begins,
ok,
error + timeout + "limit" as failed,
other,
ok_weight,
failed_weight,
other_weight,
duration_weighed_ms,
duration_min_ms,
duration_max_ms,
durations,  -- if details
points_weighed,
last_run
