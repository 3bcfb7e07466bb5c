-- Stores one execution. The trace crosses the wire as text, so a json codec on the pool changes nothing.
-- $1 id uuid
-- $2 created_at timestamptz? always
-- $3 strategy_id text
-- $4 strategy_version integer
-- $5 strategy_type text
-- $6 realm_id text? always
-- $7 external_game_id text? always
-- $8 external_task_id text? always
-- $9 external_user_id text? always
-- $10 status text
-- $11 error_code text? always
-- $12 points double precision? always
-- $13 case_name text? always
-- $14 duration_ms double precision
-- $15 nodes_executed integer
-- $16 trace text? always
-- $17 sampled boolean
-- $18 sample_rate double precision
-- $19 parent_strategy_id text? always
-- $20 notes text? always
-- Columns: none
-- Index: none
insert into execlog.strategy_execution_log (
    :names
) values (
    $1::uuid,
    $2::timestamptz,
    $3::text,
    $4::integer,
    $5::text,
    $6::text,
    $7::text,
    $8::text,
    $9::text,
    $10::text,
    $11::text,
    $12::double precision,
    $13::text,
    $14::double precision,
    $15::integer,
    $16::text::jsonb,
    $17::boolean,
    $18::double precision,
    $19::text,
    $20::text
)
