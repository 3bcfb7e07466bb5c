-- The numbers by which rows of the log are compared with those of files; DuckDB has the same in `archive/sums.sql`.
-- Of all pages, which the planner sees and may read by several processes, or from one page on and before another:
-- `admin/summing.py` adds these up, and knows which numbers are no sums.
select
    count(*) as rows,
    count(*) filter (where status = 'ok') as ok_rows,
    sum(('x' || left(md5(id::text), 15))::bit(60)::bigint) as ids,
    sum((extract(epoch from created_at) * 1000000)::bigint) as times,
    (extract(epoch from min(created_at)) * 1000000)::bigint as first_at,
    (extract(epoch from max(created_at)) * 1000000)::bigint as last_at,
    sum((extract(epoch from stored_at) * 1000000)::bigint) filter (where isfinite(stored_at)) as stored,
    count(*) filter (where isfinite(stored_at)) as stored_rows,
    sum(strategy_version) as versions,
    sum(nodes_executed) as nodes,
    count(*) filter (where sampled) as sampled,
    count(points) as points_rows,
    min(points) as least_points,
    max(points) as most_points,
    sum(floor(least(greatest(points * 1000, -1e14), 1e14))::bigint) as points,
    min(duration_ms) as shortest,
    max(duration_ms) as longest,
    sum(floor(least(duration_ms * 1000, 1e14))::bigint) as durations,
    sum(floor(sample_rate * 1e14)::bigint) as rates,
    count(trace_id) as trace_ids,
    sum(char_length(strategy_type)) as types,
    sum(char_length(realm_id) + 1) as realms,
    sum(char_length(external_game_id) + 1) as games,
    sum(char_length(external_task_id) + 1) as tasks,
    sum(char_length(external_user_id) + 1) as users,
    sum(char_length(error_code) + 1) as codes,
    sum(char_length(case_name) + 1) as cases,
    sum(char_length(parent_strategy_id) + 1) as parents,
    sum(char_length(notes) + 1) as notes,
    sum(char_length(error_message) + 1) as messages,
    sum(char_length(trace::text) + 1) as traces,
    sum(char_length(input::text) + 1) as inputs,
    sum(char_length(attributes::text) + 1) as attributes,
    max(
        coalesce(octet_length(trace::text), 0)
        + coalesce(octet_length(input::text), 0)
        + coalesce(octet_length(attributes::text), 0)
        + coalesce(octet_length(notes), 0)
        + coalesce(octet_length(external_user_id), 0)
        + coalesce(octet_length(external_task_id), 0)
        + coalesce(octet_length(external_game_id), 0)
        + coalesce(octet_length(strategy_type), 0)
        + coalesce(octet_length(parent_strategy_id), 0)
    ) as most_bytes
from execlog.:"partition"
where strategy_id is distinct from ''
    and created_at > '-infinity'
    and created_at >= :'begins'
    and created_at < :'ends'
    and (status = 'ok' or created_at < :'failures_before')
    and (
        :'whole'::boolean
        or (ctid >= $1::tid and ctid < $2::tid)
    )
