-- How many rows are to go, by the minute. OFFSET has the planner forget that their times are millions, and hash them.
select
    minute.begins,
    count(*) as rows
from (
    select date_bin('1 minute', created_at, '2000-01-01 00:00:00+00') as begins
    from execlog.:"partition"
    where strategy_id is distinct from ''
        and created_at > '-infinity'
        and created_at >= :'begins'
        and created_at < :'ends'
        and (status = 'ok' or created_at < :'failures_before')
    offset 0
) as minute
group by minute.begins
order by minute.begins
