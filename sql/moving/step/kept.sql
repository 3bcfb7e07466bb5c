-- The rows that can be stored; if a bad row is to stop it all, those before the first one.
kept as (
    select *
    from checked
    where problem is null
        and (
            not (select stops from given)
            or place < coalesce((select min(place) from checked where problem is not null), 9223372036854775807)
        )
)
