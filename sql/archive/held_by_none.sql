-- There are no other files of the day.
create or replace temp table held as
select *
from offered
limit 0;
