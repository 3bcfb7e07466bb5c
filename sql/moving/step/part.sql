-- The next rows of the table in the order of its key, as executions, and what is wrong with each.
--
-- Three levels, each evaluated once a row (`limit` and `offset 0` keep the planner from merging them): what the table
-- holds, what that means here, and whether it can be stored. $1 holds what is given: see `given.sql`.
select
    converted.place,
    converted.key,
    :others,
    case
        when (select is_marked from given) then coalesce(converted.sampled, false)
        else converted.status = 'ok' and coalesce(converted.sample_rate, (select sample_rate from given), 1) < 1
    end as sampled,
    coalesce(
        converted.sample_rate,
        case
            when case
                when (select is_marked from given) then converted.sampled
                else converted.status = 'ok'
            end
            then (select sample_rate from given)
        end,
        1
    ) as sample_rate,
    (select is_marked and sample_rate is null from given)
        and converted.sampled is true
        and converted.sample_rate is null as is_unrated,
    case
        :checks
    end as problem
from (
    select
        part.place,
        part.key,
        :values
    from (
        select
            row_number() over (order by :keys) as place,
            json_build_array(:key_texts)::text as key,
            :raw
        from :table as theirs
        where :after
        order by :keys
        limit $2::bigint
    ) as part
    offset 0
) as converted
