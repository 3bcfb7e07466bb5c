-- A page of executions, newest first, for all listings.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 before_created_at timestamptz?
-- $6 before_id uuid?
-- $7 before_undated_id uuid?
-- $8 before_strategy_id text?
-- $9 before_undated_strategy_id text?
-- $10 limit bigint
-- $11 and on: filters
-- switch of_all
-- switch failed_of_all
-- switch of_one_realm
-- switch undated_follow
-- switch spread
-- switch bare
-- switch no_input
--
-- Each shape walks along one index: by time for all, and of one strategy; failures have indexes of their
-- own, of a strategy, of all and of a realm. The switches add the predicates by which the planner takes it.
-- Rows without a time come after all others. They follow a cursor with a time as a list of their own, since
-- no index condition finds both; a page that begins among them has a cursor without a time.
-- Executions of several strategies may have one time and id: then the strategy decides, which no index holds,
-- so that the rows of an index are sorted within equal ones.
-- The runs of a user have an index without an order: theirs are sorted. The planner, which may overestimate how
-- many there are, does not see the index of all by time then, since that has a predicate.
-- The limit of 200, the largest page, tells the planner that a page is cheap whatever its limit: then one
-- generic plan serves all calls. On a cluster (spread) an inner limit would query each machine twice.
-- For one realm the realm leads the ORDER BY. Only the index of a realm's failures has that order: the planner,
-- which may overestimate how many failures a realm has, then does not scan the failures of all realms. The
-- page is cut in that order too, since the outer sort reads all of its input before it answers.
select
    :columns
from (  -- if of_one_realm
    select *  -- if of_one_realm
    from (
        (
            :newest_rows
        )
        union all  -- if undated_follow
        (  -- if undated_follow
            :newest_rows(undated)  -- if undated_follow
        )  -- if undated_follow
    ) as candidate
    order by realm_id, created_at desc nulls last, id desc, strategy_id desc  -- if of_one_realm
    limit $10::bigint  -- if of_one_realm
) as page  -- if of_one_realm
order by created_at desc nulls last, id desc, strategy_id desc
limit $10::bigint
