-- Files that hold rows which were moved out of the log: where they are, which they are, and what the log holds too.
--
-- Locks: none on tables that are in use.
-- Expected stall: none.

create table execlog.archive (
    folder text not null,
    host text not null,
    only_row boolean not null default true,
    constraint archive_pkey primary key (only_row),
    constraint only_row check (only_row)
);

comment on table execlog.archive is 'Where old rows go; one row if there is an archive.';
comment on column execlog.archive.folder is 'The folder of the files, as the last maintainer named it.';
comment on column execlog.archive.host is 'The machine of the last maintainer.';

create table execlog.archived_file (
    day date not null,
    part integer not null,
    path text collate "C" not null,
    begins timestamptz not null,
    ends timestamptz not null,
    rows bigint not null,
    ok_rows bigint not null,
    bytes bigint not null,
    sha256 bytea not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    in_log tstzmultirange not null,
    failures_in_log tstzmultirange not null default '{}',
    written_at timestamptz not null default now(),
    constraint archived_file_pkey primary key (day, part),
    constraint archived_file_path unique (path),
    constraint part_in_range check (part > 0),
    constraint times_in_order check (begins <= first_at and first_at <= last_at and last_at < ends),
    constraint rows_in_range check (rows > 0 and ok_rows between 0 and rows),
    constraint sha256_whole check (octet_length(sha256) = 32)
);

comment on table execlog.archived_file is 'The files of the archive. A file without its row here is not trusted.';
comment on column execlog.archived_file.day is 'The day of UTC in which all its runs finished.';
comment on column execlog.archived_file.part is 'Its number within the day, from 1 on.';
comment on column execlog.archived_file.path is 'Its path within the folder.';
comment on column execlog.archived_file.begins is 'The begin of the time whose rows were looked at for it.';
comment on column execlog.archived_file.ends is 'The first instant after that time.';
comment on column execlog.archived_file.rows is 'How many rows it holds.';
comment on column execlog.archived_file.ok_rows is 'How many of them are ok.';
comment on column execlog.archived_file.bytes is 'Its size.';
comment on column execlog.archived_file.sha256 is 'The digest of its bytes.';
comment on column execlog.archived_file.first_at is 'The time of its oldest run.';
comment on column execlog.archived_file.last_at is 'The time of its newest run.';
comment on column execlog.archived_file.in_log is 'Of these times the log holds all its rows too.';
comment on column execlog.archived_file.failures_in_log is 'Of these times the log holds those of its rows too that are not ok.';
comment on column execlog.archived_file.written_at is 'When it was entered here.';

-- They are whose the log is.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    log_owner oid;
    granted text;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    select relowner
    into log_owner
    from pg_class
    where oid = 'execlog.strategy_execution_log'::regclass;
    if pg_get_userbyid(log_owner) <> current_user then
        execute 'alter table execlog.archive owner to ' || quote_ident(pg_get_userbyid(log_owner));
        execute 'alter table execlog.archived_file owner to ' || quote_ident(pg_get_userbyid(log_owner));
    end if;
    -- What answers questions about the log may ask where its rows are, and whether a folder is this log's.
    for granted in
        select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        from pg_class
        cross join aclexplode(relacl)
        where oid = 'execlog.recorder_account'::regclass
            and privilege_type = 'SELECT'
            and grantee <> relowner
    loop
        execute format('grant select on execlog.archive, execlog.archived_file to %s', granted);
        execute format('grant execute on function execlog.log_id() to %s', granted);
    end loop;
    perform set_config('search_path', path, true);
end
$$;
