-- The columns of an execution, in the order of the table and the model.
-- switch stored
-- switch bare
--
-- As they are stored, or as they are returned: as text, which a json codec of the pool does not touch.
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
trace,  -- if stored
trace::text as trace,  -- if not stored, not bare
null::text as trace,  -- if not stored, bare
sampled,
sample_rate,
parent_strategy_id,
notes
