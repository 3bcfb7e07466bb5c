-- The columns of an execution, in the order of the table and the model.
-- switch stored
-- switch written
-- switch bare
-- switch no_input
--
-- As they are stored, or as they are returned: as text, which a json codec of the pool does not touch. The
-- store sets the time of arrival, so it is not written. A role without the right to inputs asks for none.
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
notes,
trace_id,
error_message,
stored_at,  -- if not written
input,  -- if stored, not no_input
null::jsonb as input,  -- if stored, no_input
input::text as input,  -- if not stored, not bare, not no_input
null::text as input,  -- if not stored, not bare, no_input
null::text as input,  -- if not stored, bare
attributes  -- if stored
attributes::text as attributes  -- if not stored
