-- What the file that was written holds, from its own bytes.
select
    count(*) as rows,
    count(*) filter (where status = 'ok') as ok_rows,
    min(epoch_us(created_at)) as first_at,
    max(epoch_us(created_at)) as last_at
from written;
