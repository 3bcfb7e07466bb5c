-- Removes from DEFAULT rows that are too old.
set local lock_timeout = :'lock_timeout';

delete from execlog.strategy_execution_log_default
where strategy_id is distinct from ''
    and created_at > '-infinity'
    and created_at < :'ends'
    and (status = 'ok' or created_at < :'begins')
    and exists (
        select 1
        from pg_catalog.pg_inherits
        where inhrelid = 'execlog.strategy_execution_log_default'::regclass
    );

-- From here on, rollups hold runs whose rows are gone, and say so.
update execlog.rollup_state
set rows_from = greatest(rows_from, :'ends');
