-- Only the one file is looked at.
create temp table held as
select *
from written
limit 0;
