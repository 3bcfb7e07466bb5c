-- The account of a part, after the row of which it is a subquery's list.
(select count(*) from checked) as rows,
(select key from checked order by place desc limit 1) as last,
(select count(*) from kept) as kept,
(select count(*) from kept where is_unrated) as unrated,
(
    select json_agg(json_build_array(found.problem, found.rows, found.example) order by found.first)::text
    from (
        select
            problem,
            count(*) as rows,
            (array_agg(key order by place))[1] as example,
            min(place) as first
        from checked
        where problem is not null
        group by problem
    ) as found
) as problems
