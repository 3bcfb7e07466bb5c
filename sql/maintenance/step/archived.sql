-- Notes which rows of files the log no longer holds: those of whole times, or of a purge, which leaves partitions alone.
with covered as materialized (
    select coalesce(range_agg(tstzrange(begins, ends)), '{}') as times
    from execlog.partitions()
    where not is_default
        and :'partition' = 'strategy_execution_log_default'
),
gone as materialized (
    select
        tstzmultirange(tstzrange(:'ok_from', :'ok_until')) - times as ok_times,
        tstzmultirange(tstzrange(:'failures_from', :'failures_until')) - times as failure_times
    from covered
)
update execlog.archived_file
set
    failures_in_log = failures_in_log + in_log * ok_times - failure_times,
    in_log = in_log - ok_times
from gone
where in_log && ok_times
    or failures_in_log && failure_times;
