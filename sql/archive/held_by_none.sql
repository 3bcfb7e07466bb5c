-- There are no other files of the day.
create temp table held as
select *
from offered
limit 0;
