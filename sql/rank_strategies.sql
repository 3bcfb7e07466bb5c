-- The strategies of a realm, or all of them, the slowest or the most failing first.
-- $1 realm_id text?
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 by text
-- $5 limit bigint
-- Columns: strategy_id text, runs bigint, failures bigint, error_rate double precision, avg_ms double precision, p50_ms double precision, p95_ms double precision, p99_ms double precision, last_run timestamptz?
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- The rows of a time lie together in the table, which is only ever appended to. An index that leads with
-- the realm and covers these columns answered in half the time, but cost COPY a quarter more. That of
-- time is for those who say that a strategy has a name, which is always so. Where there are few
-- strategies, Postgres 18 may look for the time in the index that leads with the strategy.
-- A row stands for 1/sample_rate executions, and for a thousand million at most.
select
    strategy_id,
    runs,
    failures,
    error_rate,
    avg_ms,
    percentiles_ms[1] as p50_ms,
    percentiles_ms[2] as p95_ms,
    percentiles_ms[3] as p99_ms,
    last_run
from (
    select
        strategy_id,
        count(*) as runs,
        count(*) filter (where status <> 'ok') as failures,
        coalesce(sum(weight) filter (where status in ('error', 'timeout', 'limit')), 0) / sum(weight) as error_rate,
        case when sum(duration_ms) > 1e-290 then sum(duration_ms) / count(*) else 0 end as avg_ms,
        percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) as percentiles_ms,
        max(created_at) as last_run
    from (
        select
            strategy_id,
            status,
            duration_ms,
            created_at,
            1 / greatest(sample_rate, 1e-9) as weight
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and ($1::text is null or realm_id = $1::text)
            and created_at >= coalesce($2::timestamptz, '-infinity')
            and created_at <= coalesce($3::timestamptz, 'infinity')
        union all
        select
            strategy_id,
            status,
            duration_ms,
            created_at,
            1 / greatest(sample_rate, 1e-9) as weight
        from execlog.strategy_execution_log
        where ($1::text is null or realm_id = $1::text)
            and created_at is null
            and $2::timestamptz is null
            and $3::timestamptz is null
    ) as execution
    group by strategy_id
) as strategy
order by
    case $4::text
        when 'p99' then percentiles_ms[3]
        when 'failures' then failures
        when 'error_rate' then error_rate
        when 'runs' then runs
    end desc,
    strategy_id
limit $5::bigint
