-- The next runs of files to be replayed, newest first: what a candidate is given, as columns.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 before_created_at timestamptz?
-- $11 before_id uuid?
-- $12 drawn_kinds text[]?
-- $13 drawn_hashes text[]?
-- $14 drawn_others text?
-- $15 limit bigint
-- $16 and on: filters
-- switch drawn
-- Columns: id uuid, created_at bigint, strategy_id text, strategy_version integer, strategy_type text, realm_id text?, external_game_id text?, external_task_id text?, external_user_id text?, status text, error_code text?, points double precision?, case_name text?, duration_ms double precision, nodes_executed integer, sampled boolean, sample_rate double precision, parent_strategy_id text?, notes text?, trace_id uuid?, error_message text?, input text?, attributes text?, reason text?
-- Index: none
--
-- As `replay/next_runs.sql` of the log: the same runs are drawn. The greatest hash of each kind that is drawn is in
-- two lists, with one for all other kinds.
select
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
    sampled,
    sample_rate,
    parent_strategy_id,
    notes,
    trace_id,
    error_message,
    input,
    attributes,
    :replay_reason as reason
:runs
    and created_at <= $10::timestamptz and (created_at, id) < ($10::timestamptz, $11::uuid)  -- if before_created_at, before_id
    and :replay_reason is null  -- if drawn
    and :id_hash <= coalesce(($13::text[])[list_position($12::text[], :replay_kind)], $14::text)::ubigint  -- if drawn_kinds, drawn_hashes, drawn_others
order by stored.created_at desc, id desc
limit $15::bigint
