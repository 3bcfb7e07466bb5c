-- The number of runs, then the number that took longer than each edge of the histogram.
json_build_array(
    count(*),
    count(*) filter (where duration_ms > 5),
    count(*) filter (where duration_ms > 10),
    count(*) filter (where duration_ms > 25),
    count(*) filter (where duration_ms > 50),
    count(*) filter (where duration_ms > 100),
    count(*) filter (where duration_ms > 150),
    count(*) filter (where duration_ms > 200),
    count(*) filter (where duration_ms > 250),
    count(*) filter (where duration_ms > 500),
    count(*) filter (where duration_ms > 1000),
    count(*) filter (where duration_ms > 2500),
    count(*) filter (where duration_ms > 5000)
)::text as durations_above
