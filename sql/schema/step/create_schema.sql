-- The part of 0001 that makes the schema, with no more rights than it needs: an existing schema may belong
-- to another role.
do $$
begin
    if to_regnamespace('execlog') is null then
        create schema execlog;
    end if;
    if exists (
        select from pg_catalog.pg_namespace
        where oid = 'execlog'::regnamespace
            and pg_has_role(nspowner, 'usage')
    ) then
        comment on schema execlog is 'Execution log of a scoring engine.';
    end if;
end
$$;
