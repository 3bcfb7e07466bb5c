-- Removes a partition of another width in which nothing was ever stored, to make room.
--
-- Nobody can store between the look and the end: the table is locked.
set local lock_timeout = :'lock_timeout';

lock table only execlog.strategy_execution_log in access exclusive mode;

do $$
begin
    if not exists (select from execlog.:"partition") then
        drop table execlog.:"partition";
    end if;
end
$$;
