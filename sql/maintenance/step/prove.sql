-- Proves that the lease is still ours, and renews it for a minute. Its row is locked from here to the end of
-- the transaction, so a step keeps the lease for as long as it takes.
do $$
declare
    until constant timestamptz := clock_timestamp() + interval '1 minute';
begin
        -- A process that took over may hold the row in a step of its own: reading needs no lock.
    perform
    from execlog.maintenance
    where token = :'token';
    if found then
        update execlog.maintenance
        set held_until = until
        where token = :'token';
    end if;
    if not found then
        raise exception using errcode = 'EL001', message = 'another process maintains this log';
    end if;
end
$$;
