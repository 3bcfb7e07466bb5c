-- The numbers by which rows of the log are compared with those of files; Postgres has the same in `archiving/step/sums.sql`.
with archived as (
    select *
    from written
    union all by name
    select *
    from held
)
select
    count(*) as rows,
    count(*) filter (where status = 'ok') as ok_rows,
    sum(('0x' || left(md5(id::varchar), 15))::bigint) as ids,
    sum(epoch_us(created_at)) as times,
    min(epoch_us(created_at)) as first_at,
    max(epoch_us(created_at)) as last_at,
    sum(epoch_us(stored_at)) filter (where isfinite(stored_at)) as stored,
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
    sum(length(strategy_type)) as types,
    sum(length(realm_id) + 1) as realms,
    sum(length(external_game_id) + 1) as games,
    sum(length(external_task_id) + 1) as tasks,
    sum(length(external_user_id) + 1) as users,
    sum(length(error_code) + 1) as codes,
    sum(length(case_name) + 1) as cases,
    sum(length(parent_strategy_id) + 1) as parents,
    sum(length(notes) + 1) as notes,
    sum(length(error_message) + 1) as messages,
    sum(length(trace) + 1) as traces,
    sum(length(input) + 1) as inputs,
    sum(length(attributes) + 1) as attributes
from archived;
