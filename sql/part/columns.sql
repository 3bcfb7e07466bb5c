-- The columns of an execution as they are answered: names.sql, with the trace as text.
-- switch payloads
--
-- As text it crosses the wire untouched by a json codec of the pool.
id,
created_at,
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
trace::text as trace,  -- if payloads
null::text as trace,  -- if not payloads
sampled,
sample_rate,
parent_strategy_id,
notes
