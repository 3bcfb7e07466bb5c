-- Removes a partition of another width in which nothing was ever stored, to make room.
--
-- Nothing can be stored between the check and the end: the log is locked.

-- Autovacuum is cancelled after a second, during which nothing else waits.
lock table execlog.:"partition" in share update exclusive mode;
lock table execlog.strategy_execution_log_default in share update exclusive mode;

set local lock_timeout = :'lock_timeout';

-- From here on all other sessions wait: at most the limit for this lock, and then that for the rest.
lock table only execlog.strategy_execution_log in access exclusive mode;

set local statement_timeout = :'lock_timeout';

alter table execlog.strategy_execution_log detach partition execlog.:"partition";

do $$
begin
    if exists (select 1 from execlog.:"partition") then
        raise lock_not_available using message = 'rows were stored meanwhile';
    end if;
end
$$;

drop table execlog.:"partition";

delete from execlog.rollup_partition
where name = :'partition';
