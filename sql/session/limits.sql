-- Which limits does this session have that end what is long, and what are they?
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
