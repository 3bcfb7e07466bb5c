-- How did the executions end that recorders were offered in these hours, and how many may be missing?
-- Columns: offered numeric, recovered numeric, sampled out numeric, rejected numeric, dropped numeric, written numeric, pending numeric, open recorders bigint, missing at most numeric
-- Index: none
--
-- offered + recovered = sampled out + rejected + dropped + written + pending. It is of all realms, strategies and versions;
-- no row: there was no recorder, or the role may not know.
select
    sum(offered) as offered,
    sum(recovered) as recovered,
    sum(sampled_out) as "sampled out",
    sum(rejected) as rejected,
    sum(dropped) as dropped,
    sum(written) as written,
    sum(pending) as pending,
    count(*) filter (where state = 'open') as "open recorders",
    coalesce(sum(most_missing) filter (where state = 'open'), 0) as "missing at most"
from execlog.accounts_in($__timeFrom(), $__timeTo())
having count(*) > 0
