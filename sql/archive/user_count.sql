-- About how many users the file that was written has: their filter is as long as that.
select approx_count_distinct(external_user_id) as users
from written;
