-- How many runs of a strategy ended how, and how many can't be replayed for which reason.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 and on: filters
-- Columns: reason text?, stratum text?, status text?, sample_rate double precision?, runs bigint, all_runs numeric
-- Index: strategy_execution_log_newest
--
-- Runs are told apart by their sample rate too, since each stands for others. Beyond 5,000 groups the smallest
-- are not listed: all_runs counts them.
select
    reason,
    stratum,
    status,
    sample_rate,
    runs,
    sum(runs) over () as all_runs
from (
    select
        reason,
        stratum,
        status,
        sample_rate,
        count(*) as runs
    from (
        select
            reason,
            case when reason is null then stratum end as stratum,
            case when reason is null then status end as status,
            case when reason is null then sample_rate end as sample_rate
        from (
            select
                status,
                sample_rate,
                :replay_reason as reason,
                :replay_stratum as stratum
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and created_at >= $2::timestamptz  -- if since
                and created_at <= $3::timestamptz  -- if until
                :filters
        ) as run
    ) as told
    group by reason, stratum, status, sample_rate
) as counted
order by reason is null, runs desc, reason, stratum, sample_rate
limit 5000
