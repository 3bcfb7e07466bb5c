-- The filter of the users of the file that was written: seven bits each, in a block of 512 (see `may_hold` of the log).
with hashed as (
    select
        ('0x' || left(digest, 8))::bigint % :blocks as block,
        ('0x' || substring(digest, 9, 16))::ubigint as places
    from (
        select sha256(external_user_id) as digest
        from (
            select distinct external_user_id
            from written
            where external_user_id is not null
        )
    )
)
select bitstring_agg(block * 512 + ((places >> (9 * n)) & 511)::bigint, 0, 512 * :blocks - 1)::blob as bits
from hashed
cross join range(7) as chosen (n);
