-- A read that takes as long as it takes lifts the limits of its session, in its own transaction: those
-- that the server's version has. How long it may be idle stays as it is.
select set_config(name, '0', true) as lifted
from pg_catalog.pg_settings
where name in ('statement_timeout', 'transaction_timeout')
order by name
limit 2
