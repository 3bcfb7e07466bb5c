-- Reads the next rows of a table of another program as executions in JSON.
with :given
select
    checked.key,
    checked.problem,
    checked.is_unrated,
    case
        when checked.problem is null then (
            select to_json(one)::text
            from (
                select
                    :columns
            ) as one
        )
    end as execution
from (
    :part
) as checked
order by checked.place
