-- Removes from DEFAULT what is too old, where no partition covers it.
set local lock_timeout = :'lock_timeout';

delete from execlog.strategy_execution_log_default
where strategy_id is distinct from ''
    and created_at > '-infinity'
    and created_at < :'ends'
    and (status = 'ok' or created_at < :'begins');
