-- Which of its rows a file holds as failures, and its successor as ok?
select
    coalesce(list(id), []) as ids,
    coalesce(list(strategy_id), []) as strategies,
    coalesce(list(epoch_us(created_at)), []) as times
from changed
where filename = :'old'
    and is_ok_now;
