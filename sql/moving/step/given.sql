-- What does not change from row to row. `after` is the key of the last row of the part before.
given as materialized (
    select *
    from json_to_record($1::text::json) as one(
        after json,
        constants json,
        schema_name text,
        table_name text,
        zone text,
        sample_rate double precision,
        is_marked boolean,
        stops boolean
    )
)
