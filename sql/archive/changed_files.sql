-- Which files hold rows that were changed since, and one that holds rows which were erased from it only.
select
    coalesce(list(distinct filename order by filename), []) as paths,
    min(filename) filter (where is_erased) as erased_path,
    count(*) filter (where is_erased) as erased
from changed;
