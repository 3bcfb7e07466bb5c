-- What follows a WITH: the percentiles of `run` (duration_ms, weight) at the fractions of `asked` (number, fraction).
-- switch by_strategy
--
-- A row holds the positions from the sum of the weights before it up to that sum and its own weight, less 1; between
-- two rows the value is linear. Whole weights give percentile_cont of rows that are there so often, to the last digit.
-- Of the rows that end at a position or above, the least value is that of the position: later rows only repeat
-- the one before them. The server raises (22003) where a product is too small for a double: such are taken as 0.
-- Of one strategy the sums are kept, so that their end is known before they are compared. Of many they are not: what
-- is kept would leave the machine of a cluster that has the strategy.
ordered as (
    select
        strategy_id,  -- if by_strategy
        duration_ms,
        coalesce(lag(duration_ms) over ascending, duration_ms) as before_ms,
        sum(weight) over (partition by strategy_id order by duration_ms rows between unbounded preceding and unbounded following) - 1 as last,  -- if by_strategy
        sum(weight) over ascending - weight - 1 as before,
        sum(weight) over ascending - 1 as upto
    from run
    window ascending as (
        partition by strategy_id  -- if by_strategy
        order by duration_ms
        rows unbounded preceding
    )
)
select
    strategy_id,  -- if by_strategy
    array_agg(value_ms order by number) as values_ms
from (
    select
        strategy_id,  -- if by_strategy
        number,
        min(case when place - before >= 1 then duration_ms when place - before > 1e-18 and duration_ms - before_ms > 1e-290 then before_ms + (place - before) * (duration_ms - before_ms) else before_ms end) as value_ms
    from (
        select
            strategy_id,  -- if by_strategy
            number,
            duration_ms,
            before_ms,
            before,
            upto,
            case when fraction > 1e-290 then fraction * last else 0 end as place
        from ordered
        cross join asked
        cross join (select max(upto) as last from ordered) as total  -- if not by_strategy
    ) as placed
    where upto >= place
    group by
        strategy_id,  -- if by_strategy
        number
) as percentile
group by strategy_id  -- if by_strategy
having count(*) > 0
