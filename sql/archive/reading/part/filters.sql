-- What each filter of executions means in a file: the same as in `part/filters.sql` of the log, one condition a line.
-- $1 realm_ids text[]?
-- $2 strategy_versions text[]?
-- $3 strategy_types text[]?
-- $4 status text?
-- $5 statuses text[]?
-- $6 statuses_left_out text[]?
-- $7 error_codes text[]?
-- $8 case_names text[]?
-- $9 external_user_ids text[]?
-- $10 external_game_ids text[]?
-- $11 external_task_ids text[]?
-- $12 parent_strategy_ids text[]?
-- $13 min_duration_ms double precision?
-- $14 max_duration_ms double precision?
-- $15 above_duration_ms double precision?
-- $16 min_nodes integer?
-- $17 max_nodes integer?
-- $18 min_points double precision?
-- $19 max_points double precision?
-- $20 below_points double precision?
-- $21 trace_ids text[]?
-- $22 attribute_patterns text[]?
-- switch failed | errors | other
-- switch no_case
--
-- Attributes are the text of a flat object, as Postgres prints it: each pattern finds one key with its value.
and realm_id = any($1::text[])  -- if realm_ids
and strategy_version = any($2::text[]::integer[])  -- if strategy_versions
and strategy_type = any($3::text[])  -- if strategy_types
and status <> 'ok'  -- if failed
and status in ('error', 'timeout', 'limit')  -- if errors
and status not in ('ok', 'error', 'timeout', 'limit')  -- if other
and status = $4::text  -- if status
and status = any($5::text[])  -- if statuses
and status <> all($6::text[])  -- if statuses_left_out
and error_code = any($7::text[])  -- if error_codes
and case_name = any($8::text[])  -- if case_names
and case_name is null  -- if no_case
and external_user_id = any($9::text[])  -- if external_user_ids
and external_game_id = any($10::text[])  -- if external_game_ids
and external_task_id = any($11::text[])  -- if external_task_ids
and parent_strategy_id = any($12::text[])  -- if parent_strategy_ids
and duration_ms >= $13::double precision  -- if min_duration_ms
and duration_ms <= $14::double precision  -- if max_duration_ms
and duration_ms > $15::double precision  -- if above_duration_ms
and nodes_executed >= $16::integer  -- if min_nodes
and nodes_executed <= $17::integer  -- if max_nodes
and points >= $18::double precision  -- if min_points
and points <= $19::double precision  -- if max_points
and points < $20::double precision  -- if below_points
and trace_id = any($21::text[]::uuid[])  -- if trace_ids
and not exists (select 1 from (select unnest($22::text[]) as pattern) as wanted where not coalesce(regexp_matches(attributes, wanted.pattern), false))  -- if attribute_patterns
