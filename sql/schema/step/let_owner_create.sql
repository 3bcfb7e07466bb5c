-- The objects of a migration are made by the owner of the records, who needs CREATE on the schema: an owner who
-- was given the tables by hand may lack it.
do $$
declare
    owner name;
begin
    select role.rolname
    into owner
    from pg_catalog.pg_class as class
    join pg_catalog.pg_roles as role on role.oid operator(pg_catalog.=) class.relowner
    join pg_catalog.pg_namespace as namespace on namespace.oid operator(pg_catalog.=) class.relnamespace
    where class.oid operator(pg_catalog.=) pg_catalog.to_regclass('execlog.schema_migration')
        and not (
            pg_catalog.has_schema_privilege(role.oid, namespace.oid, 'usage')
            and pg_catalog.has_schema_privilege(role.oid, namespace.oid, 'create')
        )
        and pg_catalog.pg_has_role(namespace.nspowner, 'usage');
    if owner is not null then
        execute pg_catalog.format('grant usage, create on schema execlog to %I', owner);
    end if;
end
$$;
