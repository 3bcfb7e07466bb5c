-- The same for rows without a time.
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
where created_at is null;

select 1
from execlog.rollup
where grain = 0
    and slot <> execlog.rollup_own_slot()
for update nowait;

select 1
from execlog.rollup_name
where grain = 0
    and slot <> execlog.rollup_own_slot()
for update nowait;

delete from execlog.rollup
where grain = 0
    and slot <> execlog.rollup_own_slot();

delete from execlog.rollup_name
where grain = 0
    and slot <> execlog.rollup_own_slot();
