-- How many rows were stored in this database so far? What others store meanwhile is the difference.
select tup_inserted as rows
from pg_catalog.pg_stat_database
where datname = pg_catalog.current_database()
