-- Lifts the session's time limits for a long read, in its own transaction: those that the server's version
-- has. The limit for an idle transaction stays.
select set_config(name, '0', true) as lifted
from pg_catalog.pg_settings
where name in ('statement_timeout', 'transaction_timeout')
order by name
limit 2
