-- The columns of an execution of a file, by the names of the log; times in microseconds.
-- switch bare
-- switch no_input
--
-- An infinite time of arrival is an end of the calendar, as the driver reads it from the log.
id,
epoch_us(created_at) as created_at,
strategy_id,
strategy_version,
strategy_type,
realm_id,
external_game_id,
external_task_id,
external_user_id,
status,
error_code,
points,
case_name,
duration_ms,
nodes_executed,
trace,  -- if not bare
null::text as trace,  -- if bare
sampled,
sample_rate,
parent_strategy_id,
notes,
trace_id,
error_message,
case when isfinite(stored_at) then epoch_us(stored_at) when stored_at > '2000-01-01 00:00:00+00'::timestamptz then 253402300799999999 else -62135596800000000 end as stored_at,
input,  -- if not bare, not no_input
null::text as input,  -- if not bare, no_input
null::text as input,  -- if bare
attributes
