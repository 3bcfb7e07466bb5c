-- The key of the next row of a table of another program.
with :given
select json_build_array(:key_texts)::text as key
from :table as theirs
where :after
order by :keys
limit $2::bigint
