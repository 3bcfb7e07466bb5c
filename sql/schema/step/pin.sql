-- Until the transaction ends, or its search_path is put back, names are looked up in pg_catalog alone: in
-- another schema anybody may have made a function or an operator that fits better.
do $$
begin
    perform pg_catalog.set_config('execlog_migrate.search_path', pg_catalog.current_setting('search_path'), true);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
end
$$;
