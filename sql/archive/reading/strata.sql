-- How many runs of files ended how, and how many can't be replayed for which reason.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 and on: filters
-- Columns: reason text?, status text?, case_name text?, sample_rate double precision?, runs bigint
-- Index: none
--
-- As `replay/strata.sql` of the log; what runs are drawn by is their status and their case.
select
    reason,
    case when reason is null then status end as status,
    case when reason is null then case_name end as case_name,
    case when reason is null then sample_rate end as sample_rate,
    count(*) as runs
from (
    select
        status,
        case_name,
        sample_rate,
        :replay_reason as reason
    :runs
) as run
group by all
order by all
