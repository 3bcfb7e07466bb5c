-- Only the one file is looked at.
create or replace temp table held as
select *
from written
limit 0;
