-- Restores the search_path and the role of the transaction; if each statement was a transaction of its own,
-- there is nothing to restore.
do $$
begin
    if pg_catalog.current_setting('execlog_migrate.role', true) operator(pg_catalog.<>) '' then
        perform pg_catalog.set_config('role', pg_catalog.current_setting('execlog_migrate.role'), true);
        perform pg_catalog.set_config('search_path', pg_catalog.current_setting('execlog_migrate.search_path'), true);
    end if;
end
$$;
