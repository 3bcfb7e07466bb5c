-- The transaction goes on with the search_path that it had.
do $$
begin
    perform pg_catalog.set_config('search_path', pg_catalog.current_setting('execlog_migrate.search_path', true), true);
end
$$;
