-- The transaction goes on with the search_path and the role that it had.
do $$
begin
    perform pg_catalog.set_config('role', pg_catalog.current_setting('execlog_migrate.role', true), true);
    perform pg_catalog.set_config('search_path', pg_catalog.current_setting('execlog_migrate.search_path', true), true);
end
$$;
