-- Makes the rollups of a time from its rows once more, beside those that are there.
--
-- The rows are stored once more, in a table of the transaction's own, and the log's trigger sees them.
create temporary table pg_temp.execlog_replay (like execlog.strategy_execution_log) on commit drop;

create trigger roll_up
    after insert on pg_temp.execlog_replay
    referencing new table as stored
    for each statement execute function execlog.roll_up();

insert into pg_temp.execlog_replay (
    id,
    created_at,
    strategy_id,
    strategy_version,
    strategy_type,
    realm_id,
    status,
    error_code,
    points,
    case_name,
    duration_ms,
    nodes_executed,
    sampled,
    sample_rate
)
select
    id,
    created_at,
    strategy_id,
    strategy_version,
    strategy_type,
    realm_id,
    status,
    error_code,
    points,
    case_name,
    duration_ms,
    nodes_executed,
    sampled,
    sample_rate
from execlog.strategy_execution_log
where strategy_id is distinct from ''
    and created_at >= :'begins'
    and created_at :until :'ends';
