-- How many rows are to go, by the hour.
select
    date_trunc('hour', created_at, 'UTC') as begins,
    count(*) as rows
from execlog.:"partition"
where strategy_id is distinct from ''
    and created_at > '-infinity'
    and created_at >= :'begins'
    and created_at < :'ends'
    and (status = 'ok' or created_at < :'failures_before')
group by date_trunc('hour', created_at, 'UTC')
order by date_trunc('hour', created_at, 'UTC')
