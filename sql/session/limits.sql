-- Which of this session's limits would end long work, and what are their values?
-- Columns: name text, value text
-- Index: none
select
    name,
    pg_catalog.current_setting(name) as value
from (
    values
        ('statement_timeout'),
        ('transaction_timeout'),
        ('idle_in_transaction_session_timeout'),
        ('lock_timeout')
) as known (name)
where pg_catalog.current_setting(name, true) is not null
