-- What the runs of a card add up to: `kind`, those of its rows that differ in nothing that is counted, and `total`,
-- with its rollups `kept`.
kind as materialized (
    select
        status,
        error_code,
        case_name,
        sample_rate,
        :weight as weight,
        count(*) as runs,
        sum(duration_ms) as duration_ms,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        sum(nodes_executed) as nodes,
        max(nodes_executed) as nodes_max,
        sum(points) as points,
        min(points) as points_min,
        max(points) as points_max,
        count(points) as points_runs
    from execution
    group by status, error_code, case_name, sample_rate
),
total as materialized (
    select
        coalesce(sum(ok), 0)::bigint as ok,
        coalesce(sum(error), 0)::bigint as error,
        coalesce(sum(timeout), 0)::bigint as timeout,
        coalesce(sum("limit"), 0)::bigint as "limit",
        coalesce(sum(other), 0)::bigint as other,
        coalesce(sum(ok_weight), 0) as ok_weight,
        coalesce(sum(failed_weight), 0) as failed_weight,
        coalesce(sum(ok_weight + failed_weight + other_weight), 0) as weight,
        coalesce(sum(duration_ms), 0) as duration_ms,
        coalesce(min(duration_min_ms), 0) as duration_min_ms,
        coalesce(max(duration_max_ms), 0) as duration_max_ms,
        coalesce(sum(nodes), 0) as nodes,
        coalesce(max(nodes_max), 0) as nodes_max,
        coalesce(sum(points_sum), 0) as points_sum,
        coalesce(sum(points_weighed), 0) as points_weighed,
        min(points_min) as points_min,
        max(points_max) as points_max,
        coalesce(sum(points_runs), 0)::bigint as points_runs,
        bool_and(is_whole) as is_whole
    from (
        select
            case when status = 'ok' then runs end as ok,
            case when status = 'error' then runs end as error,
            case when status = 'timeout' then runs end as timeout,
            case when status = 'limit' then runs end as "limit",
            case when :is_other then runs end as other,
            case when status = 'ok' then runs * weight else 0 end as ok_weight,
            case when :is_error then runs * weight else 0 end as failed_weight,
            case when :is_other then runs * weight else 0 end as other_weight,
            duration_ms * case when duration_ms < 1e290 then weight else 1 end as duration_ms,
            duration_min_ms,
            duration_max_ms,
            nodes * weight as nodes,
            nodes_max,
            points as points_sum,
            points * case when abs(points) < 1e290 then weight else 1 end as points_weighed,
            points_min,
            points_max,
            points_runs,
            weight = 1 as is_whole
        from kind
        union all
        select
            ok,
            error,
            timeout,
            "limit",
            other,
            ok_weight,
            failed_weight,
            other_weight,
            duration_weighed_ms,
            duration_min_ms,
            duration_max_ms,
            nodes_weighed,
            nodes_max,
            points_sum,
            points_weighed,
            points_min,
            points_max,
            points_runs,
            true
        from kept
    ) as piece
)
