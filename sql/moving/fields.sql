-- Which columns has this table, of which types, and which of them are its key?
-- $1 id bigint
-- Columns: name text, quoted text, type text, base text, category text, key_place bigint
-- Index: none
--
-- The key is the primary key; else a unique index that holds each row and no NULL. A domain has the
-- category of its base type; `base` is NULL for a type that is not the server's own.
with recursive base as (
    select attnum, atttypid as type
    from pg_catalog.pg_attribute
    where attrelid = $1::bigint::oid
        and attnum > 0
        and not attisdropped
    union all
    select base.attnum, t.typbasetype
    from base
    join pg_catalog.pg_type as t on t.oid = base.type
    where t.typtype = 'd'
),
key as (
    select i.indkey, i.indnkeyatts
    from pg_catalog.pg_index as i
    where i.indrelid = $1::bigint::oid
        and i.indisunique
        and i.indimmediate
        and i.indisvalid
        and i.indpred is null
        and i.indexprs is null
        and not exists (
            select 1
            from pg_catalog.unnest(i.indkey) with ordinality as k(attnum, place)
            join pg_catalog.pg_attribute as a
                on a.attrelid = i.indrelid
                and a.attnum = k.attnum
            where k.place <= i.indnkeyatts
                and not a.attnotnull
        )
    order by i.indisprimary desc, i.indnkeyatts, i.indexrelid
    limit 1
)
select
    a.attname::text as name,
    pg_catalog.quote_ident(a.attname) as quoted,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
    case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text end as base,
    t.typcategory::text as category,
    (
        select k.place
        from key, pg_catalog.unnest(key.indkey) with ordinality as k(attnum, place)
        where k.attnum = a.attnum
            and k.place <= key.indnkeyatts
    ) as key_place
from pg_catalog.pg_attribute as a
join base on base.attnum = a.attnum
join pg_catalog.pg_type as t on t.oid = base.type
where a.attrelid = $1::bigint::oid
    and t.typtype <> 'd'
order by a.attnum
